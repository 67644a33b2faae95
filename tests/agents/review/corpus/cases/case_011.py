import tempfile

import joblib
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.post("/predict")
def predict():
    with tempfile.NamedTemporaryFile(suffix=".joblib") as handle:
        request.files["estimator"].save(handle.name)
        estimator = joblib.load(handle.name)
    values = [float(value) for value in request.form.getlist("value")]
    return jsonify(estimator.predict([values]).tolist())
