import os

from flask import Flask, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
REGIONS = ["eu", "us", "ap"]


@app.route("/region", methods=["POST"])
def region():
    wanted = request.values.get("region", "eu")
    if wanted in REGIONS:
        session["region"] = REGIONS[REGIONS.index(wanted)]
        return {"region": "standard"}
    if wanted.startswith("custom-"):
        session["region"] = REGIONS[0]
        return {"region": "custom"}
    return {"error": "unknown region"}, 400
