from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)
config = etree.parse("device.xml")
KNOWN = {"wan": "eth0", "lan": "eth1", "dmz": "eth2"}


def steps(names):
    yield "/device"
    for name in names:
        if name in KNOWN:
            yield "interface[@name='" + KNOWN[name] + "']"
    yield "mtu"


@app.get("/mtu")
def mtu():
    path = "/".join(steps(request.args.getlist("interface")))
    values = config.xpath(path)
    return jsonify([value.text for value in values])
