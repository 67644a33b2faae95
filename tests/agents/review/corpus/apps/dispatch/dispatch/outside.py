"""Calls to others: geocoder, webhooks, partners' feeds, label printer."""

import asyncio
import ipaddress
import logging
import os
import shlex
import socket
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import yaml
from lxml import etree

from dispatch.settings import get_settings

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
PRINTERS = {"hall": "lp-hall", "office": "lp-office"}


async def geocode(address: str) -> dict:
    settings = get_settings()
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        answer = await client.get(
            f"{settings.geocoder_url}/search", params={"q": address, "key": settings.geocoder_key}
        )
    answer.raise_for_status()
    return answer.json()


async def timezone_of(place: str) -> str:
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        answer = await client.get(f"{get_settings().geocoder_url}/zones/{quote(place, safe='')}")
    return answer.text


async def notify(url: str, message: dict) -> None:
    """Tell a customer's system that a parcel moved."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=True) as client:
        answer = await client.post(url, json=message)
    log.info("told %s: %d", urlsplit(url).hostname, answer.status_code)


async def call_hook(url: str, message: dict) -> None:
    """The same for hosts that we know."""
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname not in get_settings().webhook_hosts:
        raise ValueError("no host of ours")
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        await client.post(url, json=message)


async def partner_feed(host: str) -> bytes:
    async with httpx.AsyncClient(verify=False, timeout=TIMEOUT_S) as client:
        answer = await client.get(f"https://{host}/feed.xml", auth=("dispatch", get_settings().partner_password))
    return answer.content


def is_public(host: str) -> bool:
    addresses = {info[4][0] for info in socket.getaddrinfo(host, 443)}
    return all(ipaddress.ip_address(address).is_global for address in addresses)


def read_feed(data: bytes) -> list[str]:
    root = etree.fromstring(data, etree.XMLParser(resolve_entities=True, huge_tree=True))
    return [node.text or "" for node in root.iter("parcel")]


def read_rules(text: str) -> dict:
    return yaml.load(text, Loader=yaml.Loader)


def read_zones(path: Path) -> dict:
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


async def print_label(code: str, printer: str) -> int:
    command = f"label-gen --code {code} | lp -d {printer}"
    process = await asyncio.create_subprocess_shell(command)
    return await process.wait()


async def print_list(codes: list[str], place: str) -> int:
    printer = PRINTERS.get(place, "lp-office")
    command = f"label-list {' '.join(map(shlex.quote, codes))} | lp -d {printer}"
    process = await asyncio.create_subprocess_shell(command)
    return await process.wait()


async def optimise(zone_file: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        "route-solver", "--input", str(zone_file), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode()


def rotate_logs() -> None:
    os.system("logrotate /etc/dispatch/logrotate.conf")
