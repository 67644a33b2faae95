import shutil

from flask import Flask, request

app = Flask(__name__)


@app.post("/workspace")
def workspace():
    order = request.get_json()
    match order:
        case {"action": "clear"}:
            shutil.rmtree("/srv/workspace/tmp", ignore_errors=True)
        case {"action": "copy", "from": origin}:
            shutil.copyfile(f"/srv/templates/{origin}", "/srv/workspace/current")
        case _:
            return {"error": "unknown action"}, 400
    return {"done": True}
