import ast
import operator

from flask import Flask, abort, jsonify, request

app = Flask(__name__)
columns = {}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def walk(node, row):
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return row.get(name, 0)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](walk(left, row), walk(right, row))
        case _:
            abort(400)


def computed(formula):
    tree = ast.parse(formula[:200], mode="eval").body
    return lambda row: walk(tree, row)


@app.put("/columns/<name>")
def define(name):
    columns[name] = computed(request.get_json()["formula"])
    return jsonify(defined=len(columns))


@app.get("/rows")
def rows():
    data = [{"price": 4, "quantity": 3}]
    return jsonify([{name: float(column(row)) for name, column in columns.items()} for row in data])
