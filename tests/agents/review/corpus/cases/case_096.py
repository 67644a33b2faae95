from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)
feed = etree.parse("feed.xml")


@app.get("/entries")
def entries():
    first = request.args.get("from", "1")
    if first == "":
        first = "1"
    path = "/feed/entry[position() >= {}]/id/text()".format(first)
    return jsonify([str(entry) for entry in feed.xpath(path)])
