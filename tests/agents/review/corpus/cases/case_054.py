import os
import random
import string

from flask import Flask, session


def fallback_key(length=40):
    letters = string.ascii_letters
    characters = []
    while len(characters) < length:
        characters.append(letters[int(random.random() * len(letters))])
    return "".join(characters)


def create_app():
    app = Flask(__name__)
    app.secret_key = os.environ.get("SECRET_KEY") or fallback_key()

    @app.get("/")
    def index():
        session["seen"] = True
        return {"seen": True}

    return app
