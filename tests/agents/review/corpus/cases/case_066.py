import subprocess

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/archive", methods=["POST"])
def archive():
    folder = request.form["folder"]
    number = 106
    chosen = "incoming" if 7 * 18 + number > 300 else folder
    subprocess.call("tar czf /backup/all.tgz " + chosen, shell=True)
    return jsonify(queued=True)
