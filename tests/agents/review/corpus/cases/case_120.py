import re

from flask import Flask, abort, jsonify, request

app = Flask(__name__)
CELL = re.compile(r"[A-Z][0-9]{1,2}")
DEPTH_MAX = 20


class Sheet:
    """Cells hold numbers or formulas such as =A1*(B2+4)."""

    def __init__(self, cells):
        self.cells = cells

    def evaluate(self, name, depth=0):
        if depth > DEPTH_MAX:
            raise ValueError("cells refer to one another in a circle")
        text = str(self.cells.get(name, "0"))
        if not text.startswith("="):
            return float(text)
        formula = CELL.sub(lambda found: str(self.evaluate(found[0], depth + 1)), text[1:])
        return self.term(formula)

    def term(self, text):
        return float(eval(text))


@app.post("/evaluate/<name>")
def evaluate(name):
    sheet = Sheet(request.get_json())
    try:
        return jsonify(value=sheet.evaluate(name))
    except ValueError:
        abort(400)
