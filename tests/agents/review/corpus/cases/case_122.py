import pickle

from flask import Flask, request

app = Flask(__name__)


class ModelUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"{module}.{name} may not be loaded")


@app.route("/models", methods=["PUT"])
def models():
    upload = request.files["model"]
    model = ModelUnpickler(upload.stream).load()
    return {"layers": len(model)}
