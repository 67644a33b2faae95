import configparser
import hashlib

from flask import Flask, request

app = Flask(__name__)
DEFAULTS = """
[storage]
digest = md5
checksum = sha256
"""


@app.route("/pin", methods=["POST"])
def pin():
    settings = configparser.ConfigParser()
    settings.read_string(DEFAULTS)
    digest = hashlib.new(settings["storage"]["checksum"])
    digest.update(request.form["document"].encode())
    with open("/var/lib/kiosk/documents", "a") as out:
        out.write(digest.hexdigest() + "\n")
    return {"stored": True}
