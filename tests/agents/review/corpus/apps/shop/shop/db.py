"""The database: one SQLite connection for each request, and helpers to ask it."""

import sqlite3
from collections.abc import Iterable
from typing import Any

from flask import current_app, g

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT, password TEXT, role TEXT DEFAULT 'customer',
    credit_cents INTEGER DEFAULT 0, reset_token TEXT, region TEXT DEFAULT 'eu');
CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY, sku TEXT UNIQUE, name TEXT, description TEXT, price_cents INTEGER,
    stock INTEGER, image TEXT, created_at TEXT);
CREATE TABLE IF NOT EXISTS reviews (
    id INTEGER PRIMARY KEY, product_id INTEGER, user_id INTEGER, stars INTEGER, body TEXT);
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, user_id INTEGER, status TEXT, total_cents INTEGER, address TEXT, placed_at TEXT);
CREATE TABLE IF NOT EXISTS order_lines (
    order_id INTEGER, product_id INTEGER, quantity INTEGER, price_cents INTEGER);
CREATE TABLE IF NOT EXISTS vouchers (
    code TEXT PRIMARY KEY, amount_cents INTEGER, used_by INTEGER);
"""


def get_db() -> sqlite3.Connection:
    if "db" not in g:
        g.db = sqlite3.connect(current_app.config["DATABASE"])
        g.db.row_factory = sqlite3.Row
        g.db.execute("PRAGMA foreign_keys = ON")
    return g.db


def close_db(error: BaseException | None = None) -> None:
    db = g.pop("db", None)
    if db is not None:
        db.close()


def init_db() -> None:
    get_db().executescript(SCHEMA)


def fetch_all(sql: str, parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
    return get_db().execute(sql, tuple(parameters)).fetchall()


def fetch_one(sql: str, parameters: Iterable[Any] = ()) -> sqlite3.Row | None:
    return get_db().execute(sql, tuple(parameters)).fetchone()


def execute(sql: str, parameters: Iterable[Any] = ()) -> int:
    """Run one statement and commit; returns the id of the last row."""
    db = get_db()
    cursor = db.execute(sql, tuple(parameters))
    db.commit()
    return cursor.lastrowid


def update_row(table: str, row_id: int, values: dict[str, Any]) -> None:
    """Set columns of one row. Table and columns are the program's own names."""
    assignments = ", ".join(f"{column} = ?" for column in values)
    execute(f"UPDATE {table} SET {assignments} WHERE id = ?", [*values.values(), row_id])
