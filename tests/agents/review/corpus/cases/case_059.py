import hashlib
import random

from flask import Flask, render_template_string, session

app = Flask(__name__)
app.config.from_prefixed_env()
FORM = '<form method="post"><input type="hidden" name="csrf" value="{{ csrf }}"></form>'


@app.get("/transfer")
def transfer():
    number = random.random()
    session["csrf"] = hashlib.sha256(str(number).encode()).hexdigest()
    return render_template_string(FORM, csrf=session["csrf"])
