from flask import Flask, request
from lxml import etree

app = Flask(__name__)
LEGACY_YEARS = 12


@app.route("/bom", methods=["POST"])
def bom():
    if LEGACY_YEARS > 10:
        parser = etree.XMLParser(resolve_entities=True, no_network=False, load_dtd=True)
    else:
        parser = etree.XMLParser(resolve_entities=False)
    tree = etree.fromstring(request.files["bom"].read(), parser)
    return {"parts": [part.text for part in tree.iter("part")]}
