from flask import Flask, jsonify, request
from jinja2.sandbox import ImmutableSandboxedEnvironment

app = Flask(__name__)
environment = ImmutableSandboxedEnvironment(autoescape=True)


@app.route("/snippet", methods=["PUT"])
def snippet():
    source = request.get_json()["source"]
    if len(source) > 2000:
        return jsonify(error="too long"), 413
    rendered = environment.from_string(source).render(year=2024)
    return jsonify(rendered=rendered)
