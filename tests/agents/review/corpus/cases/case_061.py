import html

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/filter")
def filter_rows():
    condition = html.escape(request.args.get("where", "True"), quote=False)
    rows = [{"age": 31, "name": "Ada"}, {"age": 19, "name": "Linus"}]
    kept = []
    for row in rows:
        if eval(condition, {}, dict(row)):
            kept.append(row["name"])
    return jsonify(kept)
