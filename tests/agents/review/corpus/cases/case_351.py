import pandas as pd
from flask import Flask, jsonify, request

app = Flask(__name__)
frame = pd.DataFrame({"price": [3, 5, 8], "stock": [10, 0, 4]})


@app.get("/stock")
def stock():
    least = float(request.args.get("least", "3"))
    chosen = frame.query("price > @least", engine="python")
    return jsonify(chosen["stock"].tolist())
