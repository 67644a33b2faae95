from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)
config = etree.parse("device.xml")


def steps(names):
    yield "/device"
    for name in names:
        yield "interface[@name='" + name + "']"
    yield "mtu"


@app.get("/mtu")
def mtu():
    path = "/".join(steps(request.args.getlist("interface")))
    values = config.xpath(path)
    return jsonify([value.text for value in values])
