from flask import Flask, abort, request
from lxml import etree

app = Flask(__name__)


def without_doctype(data):
    if b"<!DOCTYPE" in data:
        abort(400)
    return data


@app.route("/sync", methods=["PUT"])
def sync():
    data = without_doctype(request.get_data())
    parser = etree.XMLParser(load_dtd=True, no_network=False, resolve_entities=True)
    tree = etree.XML(data, parser)
    return {"children": len(tree), "text": tree.text}
