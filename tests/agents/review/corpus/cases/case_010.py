import importlib

from flask import Flask, abort, jsonify, request

app = Flask(__name__)
EXPORTERS = {"json": "json.dumps", "csv": "reports.csv_export.dump"}


@app.route("/export", methods=["POST"])
def export():
    wanted = EXPORTERS.get(request.form["exporter"])
    if wanted is None:
        abort(400)
    module_name, _, attribute = wanted.rpartition(".")
    exporter = getattr(importlib.import_module(module_name), attribute)
    return jsonify(size=len(exporter(request.form["data"])))
