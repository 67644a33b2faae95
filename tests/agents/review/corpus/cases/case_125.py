import hashlib

from flask import Flask, request

app = Flask(__name__)
accounts = {}


@app.post("/register")
def register():
    digest = hashlib.md5(request.form["password"].encode()).hexdigest()
    accounts[request.form["name"]] = digest
    return "", 201
