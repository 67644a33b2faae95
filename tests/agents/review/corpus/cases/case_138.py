from collections.abc import Callable
from pathlib import Path

from flask import Flask, jsonify, request

app = Flask(__name__)
SPOOL = Path("/var/spool/reader")


def parsed[T](name: str, parse: Callable[[str], T]) -> list[T]:
    file = SPOOL / name
    return [parse(line) for line in file.read_text().splitlines()]


@app.get("/numbers")
def numbers():
    return jsonify(parsed(request.args["file"], float))
