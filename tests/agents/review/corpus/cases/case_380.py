import json
import os

from flask import Flask, jsonify, request
from werkzeug.utils import secure_filename

app = Flask(__name__)
INBOX = "/srv/inbox"


@app.post("/shelf")
def shelf():
    upload = request.files["shelf"]
    file = os.path.join(INBOX, secure_filename(upload.filename))
    upload.save(file)
    entries = {}
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            entries.update(json.loads(line))
    return jsonify({key: str(value) for key, value in entries.items()})
