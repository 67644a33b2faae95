import joblib
from flask import Flask, jsonify, request

app = Flask(__name__)
MODEL_FILE = "/opt/model/estimator.joblib"


@app.post("/predict")
def predict():
    estimator = joblib.load(MODEL_FILE)
    values = [float(value) for value in request.form.getlist("value")]
    return jsonify(estimator.predict([values]).tolist())
