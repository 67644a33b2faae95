import functools
import os

from flask import Flask, abort, send_file

app = Flask(__name__)
FOLDER = os.path.realpath("/srv/gallery")


def within(folder):
    def decorate(view):
        @functools.wraps(view)
        def wrapper(name):
            path = os.path.realpath(os.path.join(folder, name))
            if os.path.commonpath((folder, path)) != folder or not os.path.isfile(path):
                abort(404)
            return view(path)

        return wrapper

    return decorate


@app.route("/gallery/<path:name>")
@within(FOLDER)
def picture(path):
    return send_file(path)
