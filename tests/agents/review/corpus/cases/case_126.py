from flask import Flask, jsonify, request
from jinja2 import Environment
from jinja2.sandbox import ImmutableSandboxedEnvironment

app = Flask(__name__)
environments = {"admin": ImmutableSandboxedEnvironment(), "page": Environment(autoescape=True)}


@app.route("/snippet", methods=["PUT"])
def snippet():
    source = request.get_json()["source"]
    chosen = environments["page"]
    rendered = chosen.from_string(source).render(year=2024)
    return jsonify(rendered=rendered)
