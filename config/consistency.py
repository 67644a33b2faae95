"""Settings that are each right and together are not."""

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from config.settings import BusSettings, Settings, TelemetrySettings

HEADERS_MAX: Final = 32

_HEADER = re.compile(r"\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+\s*=[^,\r\n]*")


class Contradiction(NamedTuple):
    """A key, and what is wrong with it beside the others."""

    key: str
    text: str


def contradiction(settings: Settings) -> Contradiction | None:
    """The first thing that can't be, if there is one. Its text holds no secret."""
    return _of_bus(settings.bus) or _of_telemetry(settings.telemetry)


def _of_bus(bus: BusSettings) -> Contradiction | None:
    if bus.tls_key_file and not bus.tls_cert_file:
        return Contradiction("bus.tls_key_file", "a key needs its certificate; set `bus.tls_cert_file`")
    if bus.password and not bus.user:
        return Contradiction("bus.password", "a password needs a user; set `bus.user`")
    if bus.replicas > 1 and not bus.url:
        return Contradiction(
            "bus.replicas",
            f"{bus.replicas} copies need a cluster; set `bus.url`, or 1 for the embedded server",
        )
    if bus.objects_bytes_max < bus.object_bytes_max:
        return Contradiction(
            "bus.objects_bytes_max",
            f"{bus.objects_bytes_max:,} for all objects is less than {bus.object_bytes_max:,} for one "
            "(`bus.object_bytes_max`)",
        )
    return None


def _of_telemetry(telemetry: TelemetrySettings) -> Contradiction | None:
    if telemetry.endpoint and (wrong := _wrong_endpoint(telemetry.endpoint)):
        return Contradiction("telemetry.endpoint", f"{wrong}, expected a URL such as http://localhost:4318")
    if telemetry.headers:
        pairs = telemetry.headers.reveal().split(",")
        if len(pairs) > HEADERS_MAX or not all(_HEADER.fullmatch(pair) for pair in pairs):
            return Contradiction(
                "telemetry.headers",
                f"expected at most {HEADERS_MAX} headers as name=value,name=value (the value is not shown)",
            )
    return None


def _wrong_endpoint(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        _ = parts.port  # raises when it is no port
    except ValueError:
        return "it is no URL"
    if "@" in endpoint or parts.query or parts.fragment:
        return "credentials don't belong into an address (`telemetry.headers` is for them)"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "it has no http:// or https:// with a host"
    return ""
