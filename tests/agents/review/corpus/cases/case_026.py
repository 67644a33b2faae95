from flask import Flask, request

app = Flask(__name__)
ENTITIES = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;", "'": "&#39;"})


def tidy(text):
    return text.translate(ENTITIES)


@app.route("/guestbook", methods=["POST"])
def guestbook():
    message = tidy(request.form["message"])
    return "<div class='message'>%s</div>" % message
