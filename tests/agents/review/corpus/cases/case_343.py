from flask import Flask, request

app = Flask(__name__)


class RuleSet:
    def __init__(self):
        self.tree = None

    def load(self, stream):
        source = stream.read(65536).decode("utf-8")
        self.tree = compile(source, "<rules>", "exec", 0x400)

    def apply(self, record):
        names = {"record": record}
        exec("record['total'] += 1", names)
        return names["record"]


@app.route("/rules", methods=["POST"])
def rules():
    rule_set = RuleSet()
    rule_set.load(request.files["rules"].stream)
    return {"outcome": bool(rule_set.apply({"total": 3}))}
