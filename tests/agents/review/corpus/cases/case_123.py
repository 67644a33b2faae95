from flask import Flask, jsonify, request
from lxml import etree

app = Flask(__name__)
stock = etree.parse("stock.xml")


@app.post("/stock/find")
def find():
    values = {key: value for key in ("colour", "size", "brand") if (value := request.form.get(key))}
    predicates = [f"[{key}=${key}]" for key in values]
    result = stock.xpath("count(//article" + "".join(predicates) + ")", **values)
    return jsonify(count=int(result))
