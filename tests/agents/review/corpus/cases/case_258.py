import os

from flask import Flask, session


def create_app():
    app = Flask(__name__)
    app.secret_key = os.environ["SECRET_KEY"]
    app.config.update(
        SESSION_COOKIE_NAME="desk",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=True,
    )

    @app.post("/pin/<int:board>")
    def pin(board):
        session["board"] = board
        return "", 204

    return app
