import subprocess
import uuid
from functools import partial

from flask import Flask, request

app = Flask(__name__)
run = partial(subprocess.run, shell=True, timeout=20, check=False)


def compress(name):
    return run(f"gzip -k /exports/{name}")


def count(name):
    return run(f"wc -l /exports/{name}")


COMMANDS = {"compress": compress, "count": count}


@app.post("/exports/<kind>")
def export(kind):
    command = COMMANDS.get(kind, count)
    done = command(uuid.UUID(request.form["name"]))
    return {"code": done.returncode}
