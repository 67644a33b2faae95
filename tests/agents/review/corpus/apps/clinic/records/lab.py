"""Talking to the laboratory: results as XML or YAML, over HTTP."""

import hashlib
import hmac
import logging
import pickle
import subprocess
import tempfile
import xml.sax
from pathlib import Path

import defusedxml.ElementTree
import requests
import yaml
from django.conf import settings
from lxml import etree

log = logging.getLogger(__name__)

TIMEOUT_S = 20
RESULT_BYTES_MAX = 2_000_000


def headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.LAB_TOKEN}", "Accept": "application/xml"}


def fetch_result(sample: int) -> bytes:
    answer = requests.get(f"{settings.LAB_URL}/samples/{sample}", headers=headers(), timeout=TIMEOUT_S)
    log.info("sample %d: %d", sample, answer.status_code)
    answer.raise_for_status()
    return answer.content


def fetch_from(address: str) -> bytes:
    """A result that a practice offers at an address of its own."""
    log.info("asking %s with %s", address, headers())
    answer = requests.get(address, headers=headers(), timeout=TIMEOUT_S)
    return answer.content[:RESULT_BYTES_MAX]


def read_result(data: bytes) -> dict[str, str]:
    parser = etree.XMLParser(no_network=False, resolve_entities=True)
    root = etree.fromstring(data, parser=parser)
    return {value.get("name", ""): value.text or "" for value in root.iter("value")}


def read_summary(data: bytes) -> list[str]:
    root = defusedxml.ElementTree.fromstring(data)
    return [node.text or "" for node in root.iter("summary")]


class CountHandler(xml.sax.ContentHandler):
    """Counts the values of a result."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def startElement(self, name, attrs) -> None:
        self.values += name == "value"


def read_settings(text: str) -> dict:
    return yaml.safe_load(text) or {}


def read_panel(text: str) -> dict:
    """A panel of tests as the laboratory's tool writes it."""
    return yaml.load(text, Loader=yaml.UnsafeLoader)


def load_blob(blob: bytes):
    """Preferences as they were stored by `dump_blob`."""
    return pickle.loads(blob) if blob else {}


def dump_blob(value: dict) -> bytes:
    return pickle.dumps(value)


def signature_ok(body: bytes, given: str) -> bool:
    expected = hmac.new(settings.LAB_TOKEN.encode(), body, hashlib.sha256).hexdigest()
    return given == expected


def convert(data: bytes, kind: str) -> bytes:
    """The result as PDF, by the command-line tool of the laboratory."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in.xml")
        source.write_bytes(data)
        subprocess.run(f"labconv --to {kind} {source} -o {folder}/out", shell=True, check=True)
        return Path(folder, "out").read_bytes()


def version_of_tool() -> str:
    done = subprocess.run(["labconv", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def archive(folder: Path, sample: int) -> None:
    subprocess.run(["tar", "czf", f"{sample:d}.tgz", "--", str(folder)], check=True, cwd=settings.EXPORT_DIR)


def checksum(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
