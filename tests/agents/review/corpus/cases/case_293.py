import operator

from flask import Flask, jsonify, request

app = Flask(__name__)
OPERATORS = {"lt": operator.lt, "gt": operator.gt, "eq": operator.eq}


@app.get("/filter")
def filter_rows():
    field, _, rest = request.args.get("where", "age:gt:20").partition(":")
    name, _, operand = rest.partition(":")
    compare = OPERATORS.get(name, operator.eq)
    rows = [{"age": 31, "name": "Ada"}, {"age": 19, "name": "Linus"}]
    kept = []
    for row in rows:
        if compare(str(row.get(field)), operand):
            kept.append(row["name"])
    return jsonify(kept)
