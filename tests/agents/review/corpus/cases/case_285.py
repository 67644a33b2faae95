import html

from flask import Flask, request

app = Flask(__name__)


@app.get("/field")
def field():
    value = html.escape(request.args.get("value", ""), quote=True)
    return '<input name="value" value="' + value + '">'
