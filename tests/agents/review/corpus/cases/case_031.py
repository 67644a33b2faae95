import os

from flask import Flask, request

app = Flask(__name__)
app.config["UPLOADS"] = "/srv/uploads"


@app.route("/upload", methods=["POST"])
def upload():
    attached = request.files["attachment"]
    if not attached.filename.lower().endswith((".png", ".jpg")):
        return {"error": "images only"}, 415
    attached.save(os.path.join(app.config["UPLOADS"], attached.filename))
    return {"stored": True}, 201
