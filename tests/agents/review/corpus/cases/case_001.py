from flask import Flask, request

app = Flask(__name__)


@app.route("/search")
def search():
    term = request.args.get("q", "")
    page = f"<h1>Results for {term}</h1><p>Nothing found.</p>"
    return page
