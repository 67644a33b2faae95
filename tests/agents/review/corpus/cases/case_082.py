import os

from flask import Flask, jsonify, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]


class Item:
    def __init__(self, sku, price):
        self.sku = sku
        self.price = price

    def as_dict(self):
        return {"sku": self.sku, "price": self.price}


@app.post("/basket")
def basket():
    body = request.get_json()
    item = Item(body["sku"], body["price"])
    session["basket"] = [item.as_dict()]
    return jsonify(count=1)
