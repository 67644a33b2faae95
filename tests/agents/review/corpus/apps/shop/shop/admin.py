"""The back office."""

import logging

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for

from shop import importer, repository
from shop.db import execute, fetch_all, update_row
from shop.mailer import send_newsletter
from shop.security import check_csrf, legacy_hash, staff_required, voucher_code

admin = Blueprint("admin", __name__, url_prefix="/admin")
log = logging.getLogger(__name__)

VOUCHERS_MAX = 100
ORDER_STATES = {"open", "paid", "shipped", "cancelled"}


@admin.get("/")
@staff_required
def dashboard():
    return render_template("admin.html", revenue=repository.revenue_by_status(), disk=importer.disk_usage())


@admin.get("/customers/<int:user_id>")
@staff_required
def customer(user_id: int):
    user = repository.user_by_id(user_id)
    if user is None:
        abort(404)
    return render_template("admin.html", customer=user, neighbours=repository.neighbours_of(user_id))


@admin.post("/customers/<int:user_id>/delete")
def delete_customer(user_id: int):
    check_csrf()
    execute("DELETE FROM users WHERE id = ?", [user_id])
    log.info("customer %d deleted", user_id)
    flash("The customer was deleted.")
    return redirect(url_for("admin.dashboard"))


@admin.post("/orders/<int:order_id>/status")
@staff_required
def order_status(order_id: int):
    check_csrf()
    status = request.form.get("status", "")
    if status not in ORDER_STATES:
        abort(400)
    update_row("orders", order_id, {"status": status})
    return redirect(url_for("admin.dashboard"))


@admin.post("/products/<int:product_id>")
@staff_required
def edit_product(product_id: int):
    check_csrf()
    values = request.form.to_dict()
    values.pop("csrf", None)
    update_row("products", product_id, values)
    return redirect(url_for("admin.dashboard"))


@admin.post("/feed")
@staff_required
def feed():
    check_csrf()
    try:
        data = importer.fetch_feed(request.form.get("url", ""))
    except ValueError as error:
        flash(str(error))
        return redirect(url_for("admin.dashboard"))
    flash(f"{importer.store_products(importer.parse_feed(data))} products were read.")
    return redirect(url_for("admin.dashboard"))


@admin.post("/feed/upload")
@staff_required
def feed_upload():
    check_csrf()
    upload = request.files.get("feed")
    if upload is None:
        abort(400)
    flash(f"{importer.store_products(importer.parse_feed(upload.read()))} products were read.")
    return redirect(url_for("admin.dashboard"))


@admin.post("/products/<int:product_id>/picture")
@staff_required
def picture(product_id: int):
    check_csrf()
    name = importer.save_picture(request.files["picture"])
    importer.thumbnail(name, request.form.get("width", 300, type=int))
    update_row("products", product_id, {"image": name})
    return redirect(url_for("admin.dashboard"))


@admin.post("/products/<int:product_id>/picture-from")
@staff_required
def picture_from(product_id: int):
    check_csrf()
    data = importer.fetch_picture(request.form["url"])
    target = importer.UPLOAD_DIR / f"{product_id}.jpg"
    target.write_bytes(data)
    return redirect(url_for("admin.dashboard"))


@admin.post("/manuals")
@staff_required
def manual():
    check_csrf()
    flash(f"{importer.save_manual(request.files['manual'])} was stored.")
    return redirect(url_for("admin.dashboard"))


@admin.post("/backup")
@staff_required
def backup():
    check_csrf()
    flash(f"Written to {importer.backup_database(request.form.get('label', 'manual'))}.")
    return redirect(url_for("admin.dashboard"))


@admin.post("/newsletter")
@staff_required
def newsletter():
    check_csrf()
    for user in fetch_all("SELECT email, name FROM users WHERE role = 'customer'"):
        send_newsletter(user["email"], user["name"], request.form.get("text", ""))
    return redirect(url_for("admin.dashboard"))


@admin.post("/vouchers")
@staff_required
def vouchers():
    check_csrf()
    count = min(VOUCHERS_MAX, request.form.get("count", 1, type=int))
    for _ in range(count):
        execute("INSERT INTO vouchers (code, amount_cents) VALUES (?, ?)", [voucher_code(), 1000])
    return redirect(url_for("admin.dashboard"))


@admin.post("/import-customer")
@staff_required
def import_customer():
    check_csrf()
    salt = request.form["email"].split("@")[0]
    password = f"old${salt}${legacy_hash(request.form['password'], salt)}"
    execute("INSERT INTO users (email, password) VALUES (?, ?)", [request.form["email"], password])
    return redirect(url_for("admin.dashboard"))
