import random

from flask import Flask, jsonify, request

app = Flask(__name__)
ANSWERS = ["Paris", "Lyon", "Nice", "Lille"]


class Quiz:
    def __init__(self, answers):
        self.answers = list(answers)

    def shown(self):
        random.shuffle(self.answers)
        return dict(enumerate(self.answers))


@app.get("/quiz/next")
def question():
    quiz = Quiz(ANSWERS)
    return jsonify(player=request.args.get("player", "one"), answers=quiz.shown())
