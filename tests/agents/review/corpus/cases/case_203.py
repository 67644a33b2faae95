import os

from flask import Flask, request
from werkzeug.utils import secure_filename

app = Flask(__name__)
app.config["UPLOADS"] = "/srv/uploads"


@app.route("/upload", methods=["POST"])
def upload():
    attached = request.files["attachment"]
    name = secure_filename(attached.filename)
    if not name.lower().endswith((".png", ".jpg")):
        return {"error": "images only"}, 415
    attached.save(os.path.join(app.config["UPLOADS"], name))
    return {"stored": True}, 201
