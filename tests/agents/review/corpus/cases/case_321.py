from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)


def literal(text):
    return text.replace("'", "&apos;")


@app.get("/rooms")
def rooms():
    building = literal(request.args.get("building", "A"))
    root = etree.parse("rooms.xml").getroot()
    hits = root.xpath(f'room[@building="{building}"]')
    return jsonify(len(hits))
