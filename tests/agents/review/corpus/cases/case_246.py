import subprocess

from flask import Flask, request

app = Flask(__name__)


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
    deployer = Deployer("site")
    deployer.add("git reset --hard " + push["head_commit"]["id"])
    deployer.run()
    return {"deployed": True}
