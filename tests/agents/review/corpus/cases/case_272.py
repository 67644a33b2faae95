import re
import subprocess

from flask import Flask, request

app = Flask(__name__)
COMMIT = re.compile(r"[0-9a-f]{40}")


class Deployer:
    def __init__(self, repository):
        self.repository = repository
        self.steps = ["git fetch --all"]

    def add(self, step):
        self.steps.append(step)

    def run(self):
        script = " && ".join(self.steps)
        return subprocess.check_call(script, shell=True, cwd="/srv/" + "site")


@app.route("/hook", methods=["POST"])
def hook():
    push = request.get_json()
    commit = push["head_commit"]["id"]
    if COMMIT.fullmatch(commit) is None:
        return {"deployed": False}, 422
    deployer = Deployer("site")
    deployer.add("git reset --hard " + commit)
    deployer.run()
    return {"deployed": True}
