import subprocess

from flask import Flask, jsonify, request

app = Flask(__name__)


def scrub(text):
    for character in (";", "&"):
        text = text.replace(character, "")
    return text


@app.route("/whois")
def whois():
    domain = scrub(request.args.get("domain", "example.org"))
    answer = subprocess.getoutput(f"whois {domain}")
    return jsonify(lines=answer.splitlines())
