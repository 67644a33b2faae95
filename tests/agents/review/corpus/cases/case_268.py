import ast

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/calculate")
def calculate():
    expression = request.args.get("expression", "[1, 1]")
    if len(expression) > 200:
        return jsonify(error="too long"), 400
    try:
        return jsonify(result=sum(ast.literal_eval(expression)))
    except (ValueError, SyntaxError, TypeError):
        return jsonify(error="not a list of numbers"), 400
