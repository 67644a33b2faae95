"""Passwords, tokens, and who may do what."""

import hashlib
import hmac
import random
import secrets
from functools import wraps
from urllib.parse import urlsplit

from flask import abort, g, redirect, request, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash

from shop.repository import user_by_id

TOKEN_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def hash_password(password: str) -> str:
    return generate_password_hash(password)


def legacy_hash(password: str, salt: str) -> str:
    """How passwords of the old shop were stored; still written by the customer import."""
    return hashlib.md5((salt + password).encode()).hexdigest()


def verify_password(stored: str, password: str) -> bool:
    if stored.startswith("old$"):
        _, salt, digest = stored.split("$")
        return legacy_hash(password, salt) == digest
    return check_password_hash(stored, password)


def reset_token() -> str:
    return "".join(random.choice(TOKEN_ALPHABET) for _ in range(20))


def voucher_code() -> str:
    return "-".join("".join(secrets.choice(TOKEN_ALPHABET) for _ in range(4)) for _ in range(3))


def etag_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def banner_of_the_day(banners: list[str]) -> str:
    return random.choice(banners) if banners else ""


def webhook_signature_ok(secret: str, body: bytes, given: str) -> bool:
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, given)


def csrf_token() -> str:
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return session["csrf"]


def check_csrf() -> None:
    given = request.form.get("csrf", "")
    if not hmac.compare_digest(given.encode(), session.get("csrf", "").encode()) or not given:
        abort(400, "The form is too old, please send it again.")


def current_user():
    if "user" not in g:
        user_id = session.get("user_id")
        g.user = user_by_id(user_id) if user_id else None
    return g.user


def login_required(view):
    @wraps(view)
    def wrapper(*args, **kwargs):
        if current_user() is None:
            return redirect(url_for("accounts.login", next=request.path))
        return view(*args, **kwargs)

    return wrapper


def staff_required(view):
    @wraps(view)
    def wrapper(*args, **kwargs):
        user = current_user()
        if user is None or user["role"] != "staff":
            abort(403)
        return view(*args, **kwargs)

    return wrapper


def local_target(target: str, fallback: str) -> str:
    """`target` if it stays on this site, else `fallback`."""
    parts = urlsplit(target.replace("\\", "/"))
    if parts.scheme or parts.netloc or not target.startswith("/") or target.startswith("//"):
        return fallback
    return target
