import json
import re
from pathlib import Path

from flask import Blueprint, abort, jsonify, request

bp = Blueprint("plugins", __name__, url_prefix="/plugins")
ROOT = Path("/var/lib/app/plugins")
NAME = re.compile(r"\w[\w.-]+")


class Plugin:
    def __init__(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise ValueError(name)
        self.name = name

    @property
    def manifest(self) -> Path:
        return ROOT.joinpath(self.name, "manifest.json")

    def describe(self) -> dict[str, object]:
        # A plugin without a manifest is one that is still being uploaded.
        try:
            content = self.manifest.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {"state": "incomplete"}
        return {"state": "ready", **json.loads(content)}


@bp.get("/")
def overview():
    return jsonify(sorted(entry.name for entry in ROOT.iterdir() if entry.is_dir()))


@bp.get("/describe")
def describe():
    try:
        plugin = Plugin(request.args.get("name", ""))
    except ValueError:
        abort(400, "bad plugin name")
    return jsonify(plugin.describe())
