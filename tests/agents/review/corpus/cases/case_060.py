from flask import Flask, request
from jinja2 import DictLoader, Environment

app = Flask(__name__)
env = Environment(loader=DictLoader({"short": "{{ subject }}", "long": "{{ subject }} — {{ first_name }}"}), autoescape=True)


class Mailer:
    def __init__(self, subject):
        self.subject = subject

    def text(self, layout, **values):
        return env.get_template(layout).render(subject=self.subject, **values)


@app.post("/campaigns")
def campaigns():
    layout = "long" if request.json.get("long") else "short"
    mailer = Mailer(request.json["subject"])
    return {"preview": mailer.text(layout, first_name="Ada")}
