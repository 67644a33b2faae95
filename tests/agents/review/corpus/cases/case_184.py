import io

from flask import Flask, render_template_string, request

app = Flask(__name__)
COLOURS = ["black", "navy", "teal"]


@app.route("/theme")
def theme():
    colour = request.cookies.get("colour", "black")
    if colour not in COLOURS:
        colour = COLOURS[0]
    source = io.StringIO()
    source.write("<style>body { color: ")
    source.write(colour)
    source.write("; }</style>{{ request.path }}")
    return render_template_string(source.getvalue())
