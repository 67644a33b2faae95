import os

from flask import Flask, session
from markupsafe import escape

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]


def normalised(value):
    return str(escape(value.strip().lower()))


@app.route("/organisation/<path:name>", methods=["POST"])
def organisation(name):
    chosen = normalised(name)
    session["organisation"] = chosen
    return {"chosen": True}
