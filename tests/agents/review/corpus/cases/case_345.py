from flask import Flask, jsonify, request

app = Flask(__name__)
FLAGS = {"httponly": True, "samesite": "Lax"}
FLAGS["secure"] = True


@app.post("/token")
def token():
    user = request.authorization.username
    response = jsonify(user=user)
    response.set_cookie("refresh", app.extensions["jwt"].refresh(user), **FLAGS)
    return response
