import pickle

from flask import Flask, request

app = Flask(__name__)


class ModelUnpickler(pickle.Unpickler):
    def persistent_load(self, pid):
        return None


@app.route("/models", methods=["PUT"])
def models():
    upload = request.files["model"]
    model = ModelUnpickler(upload.stream).load()
    return {"layers": len(model)}
