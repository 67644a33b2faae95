from flask import Flask, request
from jinja2 import Environment, select_autoescape

app = Flask(__name__)
env = Environment(autoescape=select_autoescape(default=True))


class Mailer:
    def __init__(self, subject):
        self.subject = subject

    def text(self, **values):
        return env.from_string(self.subject).render(**values)


@app.post("/campaigns")
def campaigns():
    mailer = Mailer(request.json["subject"])
    return {"preview": mailer.text(first_name="Ada")}
