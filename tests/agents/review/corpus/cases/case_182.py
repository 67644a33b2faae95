from flask import Flask, redirect, request

app = Flask(__name__)
SHORT = {"gh": "https://github.com/example", "tw": "https://social.example/@example"}


@app.get("/s")
def short():
    key = request.args.get("k", "gh")
    destination = SHORT.get(key, key)
    app.logger.debug("short link %s", key)
    return redirect(destination, code=301)
