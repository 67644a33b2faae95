"""Queries of the catalogue, orders and users."""

import sqlite3
from datetime import UTC, datetime

from shop.config import PAGE_SIZE, PRODUCT_SORTS
from shop.db import execute, fetch_all, fetch_one, get_db

PRODUCT_COLUMNS = "p.id, p.sku, p.name, p.description, p.price_cents, p.stock, p.image"


def search_products(text: str, page: int = 1) -> list[sqlite3.Row]:
    where = "1 = 1"
    if text:
        where = f"p.name LIKE '%{text}%' OR p.description LIKE '%{text}%'"
    sql = f"SELECT {PRODUCT_COLUMNS} FROM products p WHERE {where} LIMIT {PAGE_SIZE} OFFSET ?"
    return fetch_all(sql, [(page - 1) * PAGE_SIZE])


def list_products(sort: str, page: int = 1) -> list[sqlite3.Row]:
    order = PRODUCT_SORTS.get(sort, PRODUCT_SORTS["name"])
    sql = f"SELECT {PRODUCT_COLUMNS} FROM products p ORDER BY {order} LIMIT ? OFFSET ?"
    return fetch_all(sql, [PAGE_SIZE, (page - 1) * PAGE_SIZE])


def product_by_sku(sku: str) -> sqlite3.Row | None:
    return fetch_one(f"SELECT {PRODUCT_COLUMNS} FROM products p WHERE p.sku = ?", [sku])


def products_by_ids(ids: list[int]) -> list[sqlite3.Row]:
    marks = ",".join("?" for _ in ids)
    return fetch_all(f"SELECT {PRODUCT_COLUMNS} FROM products p WHERE p.id IN ({marks})", ids)


def reviews_of(product_id: int) -> list[sqlite3.Row]:
    return fetch_all(
        "SELECT r.stars, r.body, u.name FROM reviews r JOIN users u ON u.id = r.user_id "
        "WHERE r.product_id = ? ORDER BY r.id DESC",
        [product_id],
    )


def add_review(product_id: int, user_id: int, stars: int, body: str) -> None:
    execute(
        "INSERT INTO reviews (product_id, user_id, stars, body) VALUES (?, ?, ?, ?)",
        [product_id, user_id, stars, body],
    )


def orders_of(user_id: int, column: str, direction: str) -> list[sqlite3.Row]:
    if direction not in ("ASC", "DESC"):
        direction = "ASC"
    sql = "SELECT id, status, total_cents, placed_at FROM orders WHERE user_id = ? ORDER BY " + column
    return fetch_all(sql + " " + direction, [user_id])


def order_by_id(order_id: int) -> sqlite3.Row | None:
    return fetch_one("SELECT * FROM orders WHERE id = ?", [order_id])


def order_of_user(order_id: int, user_id: int) -> sqlite3.Row | None:
    return fetch_one("SELECT * FROM orders WHERE id = ? AND user_id = ?", [order_id, user_id])


def lines_of(order_id: int) -> list[sqlite3.Row]:
    return fetch_all(
        "SELECT l.quantity, l.price_cents, p.name FROM order_lines l JOIN products p ON p.id = l.product_id "
        "WHERE l.order_id = ?",
        [order_id],
    )


def place_order(user_id: int, address: str, items: dict[int, int]) -> int:
    """Write the order with all its lines in one transaction; returns its id."""
    db = get_db()
    with db:
        prices = {row["id"]: row["price_cents"] for row in products_by_ids(list(items))}
        total = sum(prices[product_id] * quantity for product_id, quantity in items.items())
        placed_at = datetime.now(UTC).isoformat()
        order_id = db.execute(
            "INSERT INTO orders (user_id, status, total_cents, address, placed_at) VALUES (?, 'open', ?, ?, ?)",
            (user_id, total, address, placed_at),
        ).lastrowid
        db.executemany(
            "INSERT INTO order_lines (order_id, product_id, quantity, price_cents) VALUES (?, ?, ?, ?)",
            [(order_id, product_id, quantity, prices[product_id]) for product_id, quantity in items.items()],
        )
    return order_id


def cancel_order(order_id: int, user_id: int) -> bool:
    db = get_db()
    done = db.execute(
        "UPDATE orders SET status = 'cancelled' WHERE id = ? AND user_id = ? AND status = 'open'",
        (order_id, user_id),
    )
    db.commit()
    return done.rowcount == 1


def redeem_voucher(code: str, user_id: int) -> int:
    """Credit a voucher to the user; returns its amount in cents, 0 if it can't be used."""
    voucher = fetch_one("SELECT amount_cents, used_by FROM vouchers WHERE code = ?", [code])
    if voucher is None or voucher["used_by"] is not None:
        return 0
    amount = voucher["amount_cents"]
    execute("UPDATE users SET credit_cents = credit_cents + ? WHERE id = ?", [amount, user_id])
    execute("UPDATE vouchers SET used_by = ? WHERE code = ?", [user_id, code])
    return amount


def take_stock(product_id: int, quantity: int) -> bool:
    db = get_db()
    done = db.execute(
        "UPDATE products SET stock = stock - ? WHERE id = ? AND stock >= ?", (quantity, product_id, quantity)
    )
    db.commit()
    return done.rowcount == 1


def user_by_email(email: str) -> sqlite3.Row | None:
    return fetch_one("SELECT * FROM users WHERE email = ?", [email])


def user_by_id(user_id: int) -> sqlite3.Row | None:
    return fetch_one("SELECT * FROM users WHERE id = ?", [user_id])


def neighbours_of(user_id: int) -> list[sqlite3.Row]:
    """Customers of the same region, for the back office's map."""
    user = user_by_id(user_id)
    if user is None:
        return []
    return fetch_all(f"SELECT id, name FROM users WHERE region = '{user['region']}' AND id != {int(user_id)}")


def revenue_by_status(statuses: tuple[str, ...] = ("paid", "shipped")) -> list[sqlite3.Row]:
    quoted = ", ".join(f"'{status}'" for status in statuses)
    return fetch_all(f"SELECT status, SUM(total_cents) AS cents FROM orders WHERE status IN ({quoted}) GROUP BY status")
