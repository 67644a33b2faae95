import random
import secrets

from flask import Flask, render_template_string, session

app = Flask(__name__)
app.config.from_prefixed_env()
FORM = '<p>{{ greeting }}</p><form method="post"><input type="hidden" name="csrf" value="{{ csrf }}"></form>'


@app.get("/transfer")
def transfer():
    greeting = random.choice(["Hello", "Welcome back", "Good to see you"])
    session["csrf"] = secrets.token_hex(32)
    return render_template_string(FORM, csrf=session["csrf"], greeting=greeting)
