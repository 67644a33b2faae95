"""Settings as the bus wants them. The bus takes its options as arguments and never reads settings itself."""

from pathlib import Path

from bus import BusOptions, ConnectOptions, StreamLimits
from config.settings import BusSettings, Settings


def bus_options(settings: Settings, *, role: str, source: str, version: str) -> BusOptions:
    """How this process gets its bus.

    Args:
        role: what this process is, for `labverse status`.
        source: who we are in the envelopes of what we publish.
        version: of this program, for `labverse status`.
    """
    bus = settings.bus
    return BusOptions(
        connect=_connect_options(bus) if bus.url else None,
        data_dir=bus.data_dir,
        port=bus.port,
        sync_always=bus.sync_always,
        limits=StreamLimits(
            messages_max=bus.stream_messages_max,
            bytes_max=bus.stream_bytes_max,
            age_max_s=bus.stream_age_max_s,
            replicas=bus.replicas,
        ),
        object_bytes_max=bus.object_bytes_max,
        objects_bytes_max=bus.objects_bytes_max,
        source=source,
        role=role,
        version=version,
        grace_s=settings.agents.grace_s,
    )


def _connect_options(bus: BusSettings) -> ConnectOptions:
    return ConnectOptions(
        url=bus.url.reveal(),
        user=bus.user,
        password=bus.password.reveal(),
        token=bus.token.reveal(),
        credentials_file=_text(bus.credentials_file),
        nkey_seed_file=_text(bus.nkey_seed_file),
        tls_ca_file=_text(bus.tls_ca_file),
        tls_cert_file=_text(bus.tls_cert_file),
        tls_key_file=_text(bus.tls_key_file),
        connect_timeout_s=bus.connect_timeout_s,
    )


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)
