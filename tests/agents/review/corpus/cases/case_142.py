import subprocess

from flask import Flask, jsonify, request

app = Flask(__name__)
ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.")


def scrub(text):
    return "".join(character for character in text.lower() if character in ALLOWED)


@app.route("/whois")
def whois():
    domain = scrub(request.args.get("domain", "example.org"))
    answer = subprocess.getoutput(f"whois {domain}")
    return jsonify(lines=answer.splitlines())
