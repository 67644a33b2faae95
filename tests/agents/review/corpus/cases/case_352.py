from flask import Flask, redirect, request, session

app = Flask(__name__)
app.secret_key = open("/run/secrets/key", "rb").read()


@app.route("/logout")
def logout():
    session.clear()
    target = request.args.get("next", "/")
    return redirect(target)
