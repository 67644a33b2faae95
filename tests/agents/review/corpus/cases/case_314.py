from flask import Flask, request
from flask.views import MethodView
from jinja2 import BaseLoader, Environment

app = Flask(__name__)


class Rendered(MethodView):
    environment = Environment(loader=BaseLoader(), autoescape=True)
    source = ""

    def values(self):
        return {}

    def post(self):
        template = self.environment.from_string(self.source)
        return template.render(company="Acme", **self.values())


class Letter(Rendered):
    source = "Dear customer, {{ text }} — {{ company }}"

    def values(self):
        return {"text": request.form.get("text", "")}


app.add_url_rule("/letter", view_func=Letter.as_view("letter"))
