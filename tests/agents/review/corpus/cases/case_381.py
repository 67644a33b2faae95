import subprocess
from functools import partial

from flask import Flask, request

app = Flask(__name__)
shell = partial(subprocess.run, shell=True, timeout=20, check=False)


def compress(name):
    return shell(f"gzip -k /exports/{name}")


def count(name):
    return subprocess.run(["wc", "-l", "--", f"/exports/{name}"], check=False)


COMMANDS = {"compress": compress, "count": count}


@app.post("/exports/<kind>")
def export(kind):
    command = COMMANDS.get(kind, count)
    done = command(request.form["name"])
    return {"code": done.returncode}
