from flask import Flask, redirect, request, url_for

app = Flask(__name__)
BEHIND_TLS = 443 != 8443


def remember(response, name, value):
    response.set_cookie(name, value, secure=BEHIND_TLS, httponly=True, samesite="Strict")
    return response


@app.route("/cart", methods=["POST"])
def cart():
    number = int(request.form["cart"])
    return remember(redirect(url_for("cart")), "cart_token", app.extensions["signer"].sign(number))
