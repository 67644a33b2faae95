from flask import Flask, request, render_template_string

app = Flask(__name__)
GREETINGS = {"en": "Hello {{ user }}", "de": "Hallo {{ user }}"}


@app.get("/welcome")
def welcome():
    language = request.args.get("lang", "en")
    template = GREETINGS.get(language, language + ": {{ user }}")
    return render_template_string(template, user=request.remote_user)
