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
    """Nano-USD with as many digits as it takes to be seen: `$1,204.50`, `$0.25`, `$0.0042`, `$0.000069`, `$0.00`.

    The form of all amounts that `labverse` shows.
    """
    usd = nusd / NUSD_PER_USD
    if nusd == 0 or usd >= 1:
        return f"${usd:,.2f}"
    if usd >= 0.01:
        return f"${usd:.4f}".removesuffix("00")
    decimals = next(digits for digits in range(4, 10) if digits == 9 or usd >= 10.0 ** (1 - digits))
    return f"${usd:.{decimals}f}"


def time_text(rfc3339: str) -> str:
    """Such as `2026-11-21 09:30 UTC`; what can't be read stays as it is."""
    try:
        return datetime.fromisoformat(rfc3339).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return rfc3339
