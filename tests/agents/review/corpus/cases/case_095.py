import hashlib
import os

from flask import Flask, request

app = Flask(__name__)
accounts = {}


@app.post("/register")
def register():
    salt = os.urandom(16)
    digest = hashlib.scrypt(request.form["password"].encode(), salt=salt, n=2**14, r=8, p=1)
    accounts[request.form["name"]] = (salt, digest)
    return "", 201
