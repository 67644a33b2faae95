from flask import Flask, render_template_string, request

app = Flask(__name__)
PROFILE = """
<h2>{{ name }}</h2>
<section>{{ about }}</section><b>{{ words|safe }}</b>
"""


class Profile:
    def __init__(self, form):
        self.name = form["name"]
        self.about = form.get("about", "")


@app.post("/profile")
def profile():
    submitted = Profile(request.form)
    words = len(submitted.about.split())
    return render_template_string(PROFILE, name=submitted.name, about=submitted.about, words=words)
