from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)
stock = etree.parse("stock.xml")


@app.post("/stock/find")
def find():
    predicates = [
        f"[{key}='{value}']" for key in ("colour", "size", "brand") if (value := request.form.get(key))
    ]
    result = stock.xpath("count(//article" + "".join(predicates) + ")")
    return jsonify(count=int(result))
