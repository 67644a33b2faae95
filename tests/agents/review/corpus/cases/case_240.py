import os

from flask import Flask, abort, jsonify, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
CATALOGUE = {"A1": 1999, "B2": 4500}


class Item:
    def __init__(self, sku, price):
        self.sku = sku
        self.price = price

    def as_dict(self):
        return {"sku": self.sku, "price": self.price}


@app.post("/basket")
def basket():
    body = request.get_json()
    for sku, price in CATALOGUE.items():
        if sku == body["sku"]:
            session["basket"] = [Item(sku, price).as_dict()]
            return jsonify(count=1)
    abort(404)
