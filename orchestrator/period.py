"""From when to when: what people type after `--since` and `--until`."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec

from orchestrator.shell import UserError

AGO_MAX: Final = {"d": 3_660, "h": 24 * 366, "m": 60 * 24 * 366}
"""The farthest back that `--since` goes, by its unit: days, hours, minutes."""
AGO_S: Final = {"d": 86_400, "h": 3_600, "m": 60}
TO_SECONDS_CHARS: Final = len("2026-11-01T00:00:00")


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """From `since` up to, but not with, `until`: RFC 3339 in UTC, to the second; `until` may be empty.

    Attributes:
        since_s: seconds since 1970.
        words: for people.
    """

    since: str
    since_s: float
    until: str = ""
    words: str = ""

    def holds(self, at: str) -> bool:
        """Whether a time (RFC 3339 in UTC) lies in it. A record without a time counts when no end was asked for."""
        if not at:
            return not self.until
        second = at[:TO_SECONDS_CHARS]
        return self.since[:TO_SECONDS_CHARS] <= second and (
            not self.until or second < self.until[:TO_SECONDS_CHARS]
        )


def period_of(since: str, until: str, *, now_s: float) -> Period:
    """The time that `--since` and `--until` name; days are those of UTC, and `until` a day is with that day.

    Raises:
        UserError: one of them is no time, or the end comes before the beginning.
    """
    now = datetime.fromtimestamp(now_s, UTC)
    start = _moment(since, "--since", now)
    end = _moment(until, "--until", now, is_end=True) if until else None
    if end is not None and end <= start:
        raise UserError(f"--until {until} comes before --since {since}: swap them")
    words = "this month" if since == "month" else f"since {start:%Y-%m-%d %H:%M} UTC"
    if end is not None:
        words = f"from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    return Period(since=_text(start), since_s=start.timestamp(), until=_text(end) if end else "", words=words)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _moment(text: str, option: str, now: datetime, *, is_end: bool = False) -> datetime:
    if text == "month":
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return now if is_end else month
    number, unit = text[:-1], text[-1:]
    if unit in AGO_S and number.isascii() and number.isdigit() and len(number) < len("100000000"):
        if int(number) > AGO_MAX[unit]:
            raise UserError(f"{option} {text} is too long ago: at most {AGO_MAX[unit]}{unit}")
        return now - timedelta(seconds=int(number) * AGO_S[unit])
    try:
        day = date.fromisoformat(text) + timedelta(days=1 if is_end else 0)
    except (ValueError, OverflowError):
        raise UserError(
            f"{option} {text[:40]!r} is no time: say 7d, 24h, 30m, a day such as 2026-11-01, or month"
        ) from None
    return datetime.combine(day, time(tzinfo=UTC))
