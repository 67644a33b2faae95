from urllib.parse import quote

from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)


@app.route("/title", methods=["POST"])
def title():
    author = quote(request.form.get("author", ""), safe="")
    stored = {"author": author, "language": "en"}
    document = etree.parse("books.xml")
    author = stored["author"]
    found = document.xpath("//book[author='%s'][@lang='%s']" % (author, stored["language"]))
    return jsonify(len(found))
