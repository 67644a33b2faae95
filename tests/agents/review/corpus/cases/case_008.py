from flask import Flask, request
from flask.views import MethodView
from jinja2 import BaseLoader, Environment

app = Flask(__name__)


class Rendered(MethodView):
    environment = Environment(loader=BaseLoader(), autoescape=True)

    def source(self):
        raise NotImplementedError

    def post(self):
        template = self.environment.from_string(self.source())
        return template.render(company="Acme")


class Letter(Rendered):
    def source(self):
        return "Dear customer, " + request.form.get("text", "") + " — {{ company }}"


app.add_url_rule("/letter", view_func=Letter.as_view("letter"))
