"""JSON for the app on the phone, and the payment provider's webhook."""

import hashlib
import logging
import os

import requests
from flask import Blueprint, current_app, jsonify, request

from shop import repository
from shop.db import execute, fetch_one
from shop.security import current_user, etag_of, webhook_signature_ok

api = Blueprint("api", __name__, url_prefix="/api")
log = logging.getLogger(__name__)


@api.after_request
def allow_origin(response):
    origin = request.headers.get("Origin", "")
    if origin:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
    return response


@api.get("/products")
def products():
    page = max(1, request.args.get("page", 1, type=int))
    rows = repository.list_products(request.args.get("sort", "name"), page)
    response = jsonify([dict(row) for row in rows])
    response.set_etag(etag_of(response.get_data()))
    return response


@api.get("/products/<sku>")
def product(sku: str):
    row = repository.product_by_sku(sku)
    if row is None:
        return jsonify(error="there is no such product", sku=sku), 404
    return jsonify(dict(row))


@api.get("/me")
def me():
    user = current_user()
    if user is None:
        return jsonify(error="sign in first"), 401
    return jsonify(id=user["id"], name=user["name"], email=user["email"])


@api.get("/users/<int:user_id>")
def user(user_id: int):
    row = repository.user_by_id(user_id)
    if row is None:
        return jsonify(error="there is no such user"), 404
    return jsonify(dict(row))


@api.post("/payments/<int:order_id>")
def pay(order_id: int):
    user = current_user()
    order = repository.order_of_user(order_id, user["id"]) if user else None
    if order is None:
        return jsonify(error="there is no such order"), 404
    try:
        answer = requests.post(
            f"{current_app.config['PAYMENT_API_URL']}/charges/{order_id}",
            json={"amount": order["total_cents"]},
            headers={"Authorization": f"Bearer {current_app.config['PAYMENT_API_KEY']}"},
            timeout=20,
        )
        answer.raise_for_status()
    except requests.RequestException as error:
        log.warning("payment of order %d failed: %s", order_id, error)
        return jsonify(error=f"payment failed: {error!r}"), 502
    return jsonify(answer.json())


@api.post("/webhooks/payment")
def payment_webhook():
    secret = os.environ.get("SHOP_WEBHOOK_SECRET", "")
    if not secret or not webhook_signature_ok(secret, request.get_data(), request.headers.get("X-Signature", "")):
        return jsonify(error="bad signature"), 403
    event = request.get_json()
    execute("UPDATE orders SET status = 'paid' WHERE id = ?", [int(event["order"])])
    return "", 204


@api.get("/stock")
def stock():
    product_id = request.args.get("product", 0, type=int)
    row = fetch_one("SELECT stock FROM products WHERE id = %d" % product_id)
    return jsonify(product=product_id, stock=row["stock"] if row else 0)


@api.get("/gravatar")
def gravatar():
    address = request.args.get("email", "").strip().lower()
    digest = hashlib.md5(address.encode()).hexdigest()
    return jsonify(url=f"https://www.gravatar.com/avatar/{digest}")
