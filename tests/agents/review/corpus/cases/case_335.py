from flask import Flask, render_template_string, request

app = Flask(__name__)


def without_braces(text):
    return text.replace("{{", "").replace("}}", "")


@app.route("/signature", methods=["POST"])
def signature():
    text = without_braces(request.form.get("signature", ""))
    return render_template_string("<footer>" + text + "</footer>")
