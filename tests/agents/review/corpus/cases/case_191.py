from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)
PATHS = ("//ward", "//ward/bed", "//ward/bed[@free='yes']")


class Index:
    def __init__(self, file):
        self.root = etree.parse(file).getroot()

    def count(self, path):
        return len(self.root.xpath(path))


index = Index("patients.xml")


@app.post("/count")
def count():
    number = int(request.get_data(as_text=True) or "0")
    if not 0 <= number < len(PATHS):
        return jsonify(error="no such path"), 400
    return jsonify(count=index.count(PATHS[number]))
