from flask import Flask, render_template_string, request

app = Flask(__name__)


@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    template = f"<p>Hello {name}!</p>"
    return render_template_string(template)
