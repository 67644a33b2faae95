import re

from flask import Flask, request

app = Flask(__name__)
SCRIPT = re.compile(r"<script.*?>.*?</script>", re.IGNORECASE | re.DOTALL)


def tidy(text):
    return SCRIPT.sub("", text)


@app.route("/guestbook", methods=["POST"])
def guestbook():
    message = tidy(request.form["message"])
    return "<div class=message>%s</div>" % message
