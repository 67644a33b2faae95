from flask import Flask, make_response, request

app = Flask(__name__)


def row(label, value):
    return "<tr><th>" + label + "</th><td>" + value + "</td></tr>"


@app.route("/diagnostics")
def diagnostics():
    rows = [row("Address", request.remote_addr or "-")]
    rows.append(row("Referrer", request.headers.get("Referer", "-")))
    response = make_response("<table>" + "".join(rows) + "</table>")
    response.headers["Cache-Control"] = "no-store"
    return response
