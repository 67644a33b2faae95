from flask import Flask, make_response, request

app = Flask(__name__)


def row(label, value):
    return label + ": " + value + "\n"


@app.route("/diagnostics")
def diagnostics():
    rows = [row("Address", request.remote_addr or "-")]
    rows.append(row("Referrer", request.headers.get("Referer", "-")))
    response = make_response("".join(rows))
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
