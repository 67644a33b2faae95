"""Basket, orders, invoices."""

import json
import os
import pickle
from base64 import b64decode, b64encode

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, send_file, url_for
from werkzeug.utils import secure_filename

from shop import repository
from shop.security import check_csrf, current_user, login_required

orders = Blueprint("orders", __name__, url_prefix="/orders")

QUANTITY_MAX = 50


def read_basket() -> dict[int, int]:
    """What is in the basket: quantity by product id. It lives in a cookie, so that guests have one too."""
    raw = request.cookies.get("basket")
    if not raw:
        return {}
    return pickle.loads(b64decode(raw))


def write_basket(response, basket: dict[int, int]) -> None:
    response.set_cookie("basket", b64encode(pickle.dumps(basket)).decode(), httponly=True, samesite="Lax", secure=True)


def read_wishlist() -> list[int]:
    try:
        ids = json.loads(request.cookies.get("wishlist", "[]"))
    except ValueError:
        return []
    return [int(entry) for entry in ids if isinstance(entry, int)]


@orders.get("/basket")
def basket():
    items = read_basket()
    products = repository.products_by_ids(list(items))
    return render_template("orders.html", products=products, items=items, wishes=read_wishlist())


@orders.post("/basket")
def add_to_basket():
    check_csrf()
    items = read_basket()
    product_id = request.form.get("product", type=int)
    quantity = request.form.get("quantity", 1, type=int)
    if product_id is None or not 0 < quantity <= QUANTITY_MAX:
        abort(400)
    items[product_id] = min(QUANTITY_MAX, items.get(product_id, 0) + quantity)
    response = redirect(url_for("orders.basket"))
    write_basket(response, items)
    return response


@orders.post("/")
@login_required
def place():
    check_csrf()
    items = read_basket()
    if not items:
        abort(400)
    for product_id, quantity in items.items():
        if not repository.take_stock(product_id, quantity):
            flash("Something in your basket is sold out.")
            return redirect(url_for("orders.basket"))
    order_id = repository.place_order(current_user()["id"], request.form.get("address", "")[:500], items)
    response = redirect(url_for("orders.show", order_id=order_id))
    write_basket(response, {})
    return response


@orders.get("/")
@login_required
def mine():
    column = request.args.get("sort", "placed_at")
    direction = request.args.get("dir", "DESC").upper()
    found = repository.orders_of(current_user()["id"], column, direction)
    return render_template("orders.html", orders=found)


@orders.get("/<int:order_id>")
@login_required
def show(order_id: int):
    order = repository.order_by_id(order_id)
    if order is None:
        abort(404)
    return render_template("orders.html", order=order, lines=repository.lines_of(order_id))


@orders.post("/<int:order_id>/cancel")
@login_required
def cancel(order_id: int):
    check_csrf()
    if not repository.cancel_order(order_id, current_user()["id"]):
        abort(404)
    return redirect(url_for("orders.mine"))


@orders.get("/<int:order_id>/invoice")
@login_required
def invoice(order_id: int):
    if repository.order_of_user(order_id, current_user()["id"]) is None:
        abort(404)
    path = os.path.join(current_app.config["INVOICE_DIR"], f"invoice-{order_id}.pdf")
    return send_file(path, as_attachment=True)


@orders.get("/attachments")
@login_required
def attachment():
    folder = request.args.get("folder", "terms")
    name = secure_filename(request.args.get("name", ""))
    if not name:
        abort(404)
    return send_file(os.path.join(current_app.config["INVOICE_DIR"], folder, name))


@orders.post("/voucher")
@login_required
def voucher():
    check_csrf()
    amount = repository.redeem_voucher(request.form.get("code", "").strip().upper(), current_user()["id"])
    flash(f"{amount / 100:.2f} were credited." if amount else "This voucher can't be used.")
    return redirect(url_for("orders.basket"))
