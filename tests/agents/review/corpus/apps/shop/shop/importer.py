"""Supplier feeds, backups and pictures for the back office."""

import shutil
import subprocess
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import urlsplit

import requests
from lxml import etree

from shop.config import IMAGE_TYPES, SUPPLIER_HOSTS, UPLOAD_DIR
from shop.db import execute

TIMEOUT_S = 15
FEED_BYTES_MAX = 20_000_000


def fetch_feed(url: str) -> bytes:
    """The feed at `url`, if it is at a supplier's.

    Raises:
        ValueError: it is somewhere else.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname not in SUPPLIER_HOSTS:
        raise ValueError("not a supplier's address")
    answer = requests.get(url, timeout=TIMEOUT_S, allow_redirects=False)
    answer.raise_for_status()
    return answer.content[:FEED_BYTES_MAX]


def fetch_picture(url: str) -> bytes:
    answer = requests.get(url, timeout=TIMEOUT_S, verify=False)
    answer.raise_for_status()
    return answer.content


def parse_feed(data: bytes) -> list[dict[str, str]]:
    parser = etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=False)
    root = etree.fromstring(data, parser)
    return [{child.tag: (child.text or "").strip() for child in item} for item in root.iter("product")]


def parse_stock(data: bytes) -> dict[str, int]:
    """Stock by SKU, from our own warehouse's export."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.fromstring(data, parser)
    return {item.get("sku", ""): int(item.get("count", "0")) for item in root.iter("item")}


def settings_of(path: Path) -> dict[str, str]:
    """Key and value of the importer's own settings file, which is deployed with the program."""
    return {node.get("key", ""): node.text or "" for node in ElementTree.parse(path).getroot()}


def store_products(products: list[dict[str, str]]) -> int:
    for entry in products:
        execute(
            "INSERT INTO products (sku, name, description, price_cents, stock) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (sku) DO UPDATE SET price_cents = excluded.price_cents",
            [
                entry.get("sku"),
                entry.get("name"),
                entry.get("description", ""),
                int(float(entry.get("price", "0")) * 100),
                int(entry.get("stock", "0")),
            ],
        )
    return len(products)


def save_picture(upload) -> str:
    """Store an uploaded product picture under a new name; returns the name."""
    suffix = upload.filename.rsplit(".", 1)[-1].lower()
    if suffix not in IMAGE_TYPES:
        raise ValueError(f"pictures are {', '.join(sorted(IMAGE_TYPES))}")
    name = f"{uuid.uuid4().hex}.{suffix}"
    upload.save(UPLOAD_DIR / name)
    return name


def save_manual(upload) -> str:
    target = UPLOAD_DIR / "manuals" / upload.filename
    upload.save(target)
    return target.name


def thumbnail(name: str, width: int) -> Path:
    source = UPLOAD_DIR / Path(name).name
    target = source.with_suffix(".thumb.webp")
    subprocess.run(["convert", str(source), "-resize", f"{int(width)}x", str(target)], check=True, timeout=60)
    return target


def backup_database(label: str) -> str:
    target = f"/var/backups/shop-{label}.tar.gz"
    subprocess.run(f"tar czf {target} shop.sqlite3 uploads", shell=True, check=True, timeout=600)
    return target


def disk_usage() -> str:
    done = subprocess.run("df -h / | tail -1", shell=True, capture_output=True, text=True, timeout=10)
    return done.stdout


def clear_cache() -> None:
    shutil.rmtree("/var/cache/shop", ignore_errors=True)
