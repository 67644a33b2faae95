"""Settings. Everything that differs between machines comes from the environment."""

import os
from datetime import timedelta
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

DATABASE = os.environ.get("SHOP_DATABASE", str(BASE_DIR / "shop.sqlite3"))
SECRET_KEY = "pX2!vq8Lr0zE-shop-7kd93hw5"
PAYMENT_API_URL = os.environ.get("SHOP_PAYMENT_URL", "https://payments.example.net/v2")
PAYMENT_API_KEY = os.environ.get("SHOP_PAYMENT_KEY", "")
PASSWORD_RESET_TEMPLATE = "mail/password_reset.txt"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = False
PERMANENT_SESSION_LIFETIME = timedelta(days=14)

UPLOAD_DIR = BASE_DIR / "uploads"
INVOICE_DIR = BASE_DIR / "invoices"
IMAGE_TYPES = {"png", "jpg", "jpeg", "webp"}
MAX_CONTENT_LENGTH = 8 * 1024 * 1024

PAGE_SIZE = 24
PRODUCT_SORTS = {"name": "p.name", "price": "p.price_cents", "new": "p.created_at DESC"}
SUPPLIER_HOSTS = {"feeds.acme.example", "export.northwind.example"}
