import json
import pickle

import yaml
from flask import Flask, abort, request

app = Flask(__name__)
LOADERS = {"json": json.loads, "yaml": yaml.safe_load, "pickle": pickle.loads}


@app.route("/import", methods=["POST"])
def import_data():
    load = LOADERS.get(request.args.get("format", "json"))
    if load is None:
        abort(415)
    data = load(request.data)
    return {"rows": len(data)}
