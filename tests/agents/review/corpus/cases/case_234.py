from xml.dom import pulldom
from xml.sax import make_parser
from xml.sax.handler import feature_external_ges

from flask import Flask, request

app = Flask(__name__)


@app.route("/feed", methods=["POST"])
def feed():
    reader = make_parser()
    reader.setFeature(feature_external_ges, True)
    items = 0
    for event, node in pulldom.parseString(request.form["feed"], reader):
        if event == pulldom.START_ELEMENT and node.tagName == "item":
            items += 1
    return {"items": items}
