from flask import Flask, redirect, request, session, url_for

app = Flask(__name__)
app.secret_key = open("/run/secrets/key", "rb").read()


@app.route("/logout")
def logout():
    session.clear()
    target = request.args.get("next", "/")
    app.logger.info("wanted %r after logout", target)
    return redirect(url_for("logout"))
