import importlib

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/export", methods=["POST"])
def export():
    wanted = request.form["exporter"]
    module_name, _, attribute = wanted.rpartition(".")
    exporter = getattr(importlib.import_module(module_name), attribute)
    return jsonify(size=len(exporter(request.form["data"])))
