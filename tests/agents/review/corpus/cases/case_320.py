import shlex
import subprocess

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/logs/search")
def search_logs():
    needle = request.args.get("q", "error")
    quoted = shlex.quote(needle)
    found = subprocess.check_output("grep -c -e %s /var/log/app.log || true" % quoted, shell=True)
    return jsonify(count=found.decode().strip())
