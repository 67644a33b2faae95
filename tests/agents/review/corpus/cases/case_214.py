import random

from flask import Flask, jsonify, request

app = Flask(__name__)
PRIZES = [100_000, 5_000, 500]


class Raffle:
    def __init__(self, tickets):
        self.tickets = list(tickets)

    def winners(self):
        random.shuffle(self.tickets)
        return dict(zip(self.tickets, PRIZES))


@app.post("/raffle/draw")
def draw():
    raffle = Raffle(request.get_json()["tickets"])
    return jsonify(raffle.winners())
