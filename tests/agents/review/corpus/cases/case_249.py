import ipaddress
import subprocess

from flask import Flask, abort, jsonify, request

app = Flask(__name__)


@app.route("/ping")
def ping():
    host = request.args.get("host", "127.0.0.1")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        abort(400)
    code = subprocess.call(["ping", "-c", "1", str(address)])
    return jsonify(reachable=code == 0)
