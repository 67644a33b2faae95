import json
import tomllib

import yaml
from flask import Flask, abort, request

app = Flask(__name__)


def from_toml(data):
    return tomllib.loads(data.decode())


LOADERS = {"json": json.loads, "yaml": yaml.safe_load, "toml": from_toml}


@app.route("/import", methods=["POST"])
def import_data():
    load = LOADERS.get(request.args.get("format", "json"))
    if load is None:
        abort(415)
    data = load(request.data)
    return {"rows": len(data)}
