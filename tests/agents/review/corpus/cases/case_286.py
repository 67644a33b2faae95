import random

from flask import Flask, jsonify, request

app = Flask(__name__)


def colour(label):
    generator = random.Random(label)
    return "#%06x" % generator.randrange(0x1000000)


def demo_points(count):
    return [{"x": number, "y": random.gauss(50, 10)} for number in range(count)]


@app.get("/chart")
def chart():
    count = min(request.args.get("count", 20, type=int), 500)
    return jsonify(colour=colour("demo"), points=demo_points(count))
