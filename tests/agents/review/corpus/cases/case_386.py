from flask import Flask, abort, render_template_string, request
from markupsafe import escape

app = Flask(__name__)


def without_braces(text):
    if set(text) & set("{}%#"):
        abort(400)
    return str(escape(text))


@app.route("/signature", methods=["POST"])
def signature():
    text = without_braces(request.form.get("signature", ""))
    return render_template_string("<footer>" + text + "</footer>")
