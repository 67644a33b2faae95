import subprocess

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.post("/convert")
def convert():
    options = request.get_json(force=True)
    width = options.get("width", "800")
    source = "/srv/media/in.png"
    command = f"convert {source} -resize {width}x /srv/media/out.png"
    done = subprocess.run(command, shell=True, capture_output=True, timeout=30)
    return jsonify(code=done.returncode)
