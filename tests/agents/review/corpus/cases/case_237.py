import yaml
from flask import Flask, request

app = Flask(__name__)


@app.route("/pipeline", methods=["POST"])
def pipeline():
    text = request.form["definition"]
    definition = yaml.load(text, Loader=yaml.SafeLoader)
    return {"stages": [str(stage) for stage in definition.get("stages", [])]}
