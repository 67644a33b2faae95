import pandas as pd
from flask import Flask, jsonify, request

app = Flask(__name__)
frame = pd.DataFrame({"price": [3, 5, 8], "stock": [10, 0, 4]})


@app.get("/stock")
def stock():
    query = request.args.get("query", "price > 3")
    chosen = frame.query(query, engine="python")
    return jsonify(chosen["stock"].tolist())
