from flask import Flask, request

app = Flask(__name__)


class RuleSet:
    def __init__(self):
        self.code = None

    def load(self, stream):
        source = stream.read().decode("utf-8")
        self.code = compile(source, "<rules>", "exec")

    def apply(self, record):
        names = {"record": record}
        exec(self.code, names)
        return names["record"]


@app.route("/rules", methods=["POST"])
def rules():
    rule_set = RuleSet()
    rule_set.load(request.files["rules"].stream)
    return {"outcome": bool(rule_set.apply({"total": 3}))}
