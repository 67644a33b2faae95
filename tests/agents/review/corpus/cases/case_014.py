from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/setting", methods=["POST"])
def setting():
    store = {}
    store["right"] = request.form.get("value", "0")
    store["left"] = "10 * 2"
    store["right"] = "30"
    text = store["right"]
    value = eval(text)
    return jsonify(stored=isinstance(value, int))
