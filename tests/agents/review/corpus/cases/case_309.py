from flask import Flask, request

app = Flask(__name__)


class UnknownColour(Exception):
    def __init__(self, colour):
        super().__init__("There is no colour " + colour)


@app.errorhandler(UnknownColour)
def unknown(error):
    return "<h1>Sorry</h1><p>" + type(error).__name__ + "</p>", 400


@app.get("/paint")
def paint():
    colour = request.args.get("colour", "red")
    if colour not in {"red", "green"}:
        raise UnknownColour(colour)
    return "<p>A fine choice.</p>"
