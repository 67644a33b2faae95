import os
import shelve

from flask import Flask, jsonify, request
from werkzeug.utils import secure_filename

app = Flask(__name__)
INBOX = "/srv/inbox"


@app.post("/shelf")
def shelf():
    upload = request.files["shelf"]
    file = os.path.join(INBOX, secure_filename(upload.filename))
    upload.save(file)
    with shelve.open(file, flag="r") as entries:
        return jsonify({key: str(value) for key, value in entries.items()})
