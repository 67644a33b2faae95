"""Sign-up, sign-in, profile, forgotten passwords."""

import logging

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for

from shop import repository
from shop.db import execute, update_row
from shop.mailer import send_mail
from shop.security import (
    check_csrf,
    current_user,
    hash_password,
    local_target,
    login_required,
    reset_token,
    verify_password,
)

accounts = Blueprint("accounts", __name__, url_prefix="/account")
log = logging.getLogger(__name__)

PASSWORD_CHARS_MIN = 10
PROFILE_FIELDS = ("name", "region")


@accounts.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return render_template("login.html", next=request.args.get("next", ""))
    check_csrf()
    email = request.form.get("email", "").strip().lower()
    password = request.form.get("password", "")
    user = repository.user_by_email(email)
    if user is None or not verify_password(user["password"], password):
        log.warning("sign-in failed for %s with password %s", email, password)
        flash("E-mail address or password is wrong.")
        return render_template("login.html", next=request.form.get("next", "")), 401
    session.clear()
    session["user_id"] = user["id"]
    log.info("user %d signed in", user["id"])
    return redirect(local_target(request.form.get("next", ""), url_for("catalogue.index")))


@accounts.get("/logout")
def logout():
    session.clear()
    return redirect(request.args.get("return_to") or url_for("catalogue.index"))


@accounts.route("/register", methods=["GET", "POST"])
def register():
    if request.method == "GET":
        return render_template("login.html", register=True)
    check_csrf()
    email = request.form.get("email", "").strip().lower()
    password = request.form.get("password", "")
    if "@" not in email or len(password) < PASSWORD_CHARS_MIN:
        flash(f"A password needs at least {PASSWORD_CHARS_MIN} characters.")
        return render_template("login.html", register=True), 400
    if repository.user_by_email(email):
        flash("There is an account already.")
        return render_template("login.html", register=True), 409
    session["user_id"] = execute(
        "INSERT INTO users (email, name, password) VALUES (?, ?, ?)",
        [email, request.form.get("name", "")[:80], hash_password(password)],
    )
    return redirect(url_for("catalogue.index"))


@accounts.route("/profile", methods=["GET", "POST"])
@login_required
def profile():
    user = current_user()
    if request.method == "POST":
        check_csrf()
        values = {field: request.form[field] for field in PROFILE_FIELDS if field in request.form}
        if values:
            update_row("users", user["id"], values)
        flash("Saved.")
        return redirect(url_for("accounts.profile"))
    return render_template("profile.html", user=user)


@accounts.post("/email")
@login_required
def change_email():
    email = request.form.get("email", "").strip().lower()
    if "@" not in email:
        abort(400)
    if repository.user_by_email(email) is None:
        update_row("users", current_user()["id"], {"email": email})
        flash("Your address was changed.")
    return redirect(url_for("accounts.profile"))


@accounts.post("/forgotten")
def forgotten():
    check_csrf()
    user = repository.user_by_email(request.form.get("email", "").strip().lower())
    if user is not None:
        token = reset_token()
        update_row("users", user["id"], {"reset_token": token})
        link = url_for("accounts.reset", token=token, _external=True)
        send_mail(user["email"], "Your password", "password_reset.txt", {"name": user["name"], "link": link})
    flash("If there is such an account, a mail is on its way.")
    return redirect(url_for("accounts.login"))


@accounts.route("/reset/<token>", methods=["GET", "POST"])
def reset(token: str):
    user = repository.fetch_one("SELECT * FROM users WHERE reset_token = ?", [token])
    if user is None:
        abort(404)
    if request.method == "POST":
        check_csrf()
        password = request.form.get("password", "")
        if len(password) < PASSWORD_CHARS_MIN:
            abort(400)
        update_row("users", user["id"], {"password": hash_password(password), "reset_token": None})
        return redirect(url_for("accounts.login"))
    return render_template("login.html", reset=True)
