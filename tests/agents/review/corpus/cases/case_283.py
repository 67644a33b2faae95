import json

import jsonpickle
from flask import Flask, request

app = Flask(__name__)


class Decoder:
    def __init__(self, text):
        self.text = text

    def decoded(self):
        return json.loads(self.text)


@app.route("/widgets", methods=["POST"])
def widgets():
    decoder = Decoder(request.get_json()["widget"])
    return {"kind": jsonpickle.encode(decoder.decoded(), unpicklable=False)}
