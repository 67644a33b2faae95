from flask import Flask, render_template_string, request
from markupsafe import escape

app = Flask(__name__)
LAYOUT = "<html><body><h1>%s</h1>{{ footer }}</body></html>"


@app.errorhandler(404)
def missing(error):
    title = "Nothing at " + escape(request.args.get("page", request.path))
    return render_template_string(LAYOUT % title, footer="Acme"), 404
