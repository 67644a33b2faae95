from flask import Flask, request, send_from_directory

app = Flask(__name__)


class Store:
    folder = "/data/invoices"

    def __init__(self, year):
        self.year = year

    def locate(self, number):
        return self.year + "/" + number + ".pdf"


@app.route("/invoice")
def invoice():
    store = Store(request.args.get("year", "2024"))
    path = store.locate(request.args["number"])
    return send_from_directory(Store.folder, path, mimetype="application/pdf")
