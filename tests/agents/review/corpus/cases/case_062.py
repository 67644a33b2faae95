from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)
tree = etree.parse("employees.xml")


@app.route("/employee")
def employee():
    emp_id = request.args.get("id", "0")
    nodes = tree.xpath("/employees/employee[@id='" + emp_id + "']/name/text()")
    return jsonify([str(node) for node in nodes])
