from flask import Flask, render_template_string, request
from markupsafe import Markup

app = Flask(__name__)
TEMPLATE = "<article>{{ comment }}</article>"


@app.post("/comments/preview")
def preview():
    comment = Markup(request.get_json()["comment"])
    return render_template_string(TEMPLATE, comment=comment)
