from flask import Flask, abort, jsonify, request

app = Flask(__name__)


def checked(source):
    if "import" in source or "__" in source:
        abort(400)
    return source


@app.route("/transform", methods=["POST"])
def transform():
    body = checked(request.get_data(as_text=True))
    function = eval("lambda x: " + body)
    return jsonify([bool(function(number)) for number in range(5)])
