import os

from flask import Flask, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]


@app.post("/wizard")
def wizard():
    match request.get_json():
        case {"step": "start"}:
            session["limit_eur"] = 100
        case {"step": "limit", "amount": amount}:
            session["limit_eur"] = amount
        case _:
            return {"error": "step"}, 400
    return {"next": True}
