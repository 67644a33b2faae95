from flask import Flask, jsonify, request

app = Flask(__name__)
columns = {}


def computed(formula):
    def value(row):
        return eval(formula, {}, row)

    return value


@app.put("/columns/<name>")
def define(name):
    columns[name] = computed(request.get_json()["formula"])
    return jsonify(defined=len(columns))


@app.get("/rows")
def rows():
    data = [{"price": 4, "quantity": 3}]
    return jsonify([{name: float(column(row)) for name, column in columns.items()} for row in data])
