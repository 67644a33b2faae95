"""Numbers and times as people read them."""

from datetime import UTC, datetime
from typing import Final

NUSD_PER_USD: Final = 1_000_000_000


def counted(number: int, noun: str, plural: str = "") -> str:
    """Such as `1 file`, `2,000 files` and, where the plural is irregular, `3 passes`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or noun + 's'}"


def seconds_text(seconds: float) -> str:
    """Such as `0.84 s`, `12.5 s` and `2 min 14 s`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s"


def money_text(nusd: int) -> str:
    """Nano-USD such as `$0.00`, `$1,204.50` and, below a cent, with as many digits as it takes: `$0.00042`."""
    usd = nusd / NUSD_PER_USD
    if nusd == 0 or usd >= 0.01:
        return f"${usd:,.2f}"
    return f"${usd:.9f}".rstrip("0")


def time_text(rfc3339: str) -> str:
    """Such as `2026-11-21 09:30 UTC`; what can't be read stays as it is."""
    try:
        return datetime.fromisoformat(rfc3339).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return rfc3339
