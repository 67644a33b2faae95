import xml.etree.ElementTree as ET

import elementpath
from flask import Flask, jsonify, request

app = Flask(__name__)
tenants = ET.parse("tenants.xml")


@app.route("/quota")
def quota():
    tenant = request.headers.get("X-Tenant", "default")
    values = elementpath.select(tenants, "//tenant[@name='" + tenant + "']/quota")
    return jsonify(quota=[value.text for value in values])
