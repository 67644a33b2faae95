from flask import Flask, redirect, request

app = Flask(__name__)
PORTAL = "https://portal.example.com"


@app.route("/to")
def to():
    rest = request.args.get("rest", "")
    address = PORTAL + rest
    return redirect(address)
