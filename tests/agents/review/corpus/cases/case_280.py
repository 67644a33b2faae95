import urllib.request
from hashlib import md5 as fingerprint
from pathlib import Path

PLUGINS = Path("/opt/agent/plugins")


def install(name: str, url: str, expected: str) -> Path:
    with urllib.request.urlopen(url, timeout=30) as answer:
        data = answer.read(50_000_000)
    if fingerprint(data).hexdigest() != expected:
        raise ValueError(f"{name}: fingerprint differs")
    target = PLUGINS / f"{name}.so"
    target.write_bytes(data)
    return target
