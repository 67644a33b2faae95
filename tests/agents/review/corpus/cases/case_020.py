from flask import Flask, abort, jsonify, request
from lxml import etree

app = Flask(__name__)


def literal(text):
    if "'" in text or '"' in text:
        abort(400)
    return text


@app.get("/rooms")
def rooms():
    building = literal(request.args.get("building", "A"))
    root = etree.parse("rooms.xml").getroot()
    hits = root.xpath(f'room[@building="{building}"]')
    return jsonify(len(hits))
