from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)
PATH_LENGTH_MAX = 300


class Index:
    def __init__(self, file):
        self.root = etree.parse(file).getroot()

    def count(self, path):
        return len(self.root.xpath(path))


index = Index("patients.xml")


@app.post("/count")
def count():
    path = request.get_data(as_text=True)
    if len(path) > PATH_LENGTH_MAX:
        return jsonify(error="path too long"), 413
    return jsonify(count=index.count(path))
