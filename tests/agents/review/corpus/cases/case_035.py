import io

from flask import Flask, render_template_string, request

app = Flask(__name__)


@app.route("/theme")
def theme():
    source = io.StringIO()
    source.write("<style>body { color: ")
    source.write(request.cookies.get("colour", "black"))
    source.write("; }</style>{{ request.path }}")
    return render_template_string(source.getvalue())
