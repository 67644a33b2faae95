"""Texts from outside, made safe for a chat: what looks like markup in them stays text. Pure."""

import re
import unicodedata
from datetime import datetime
from typing import Any, Final

CUT: Final = "…"
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BREAKS: Final = "\n\r\t\v\f\x85\u2028\u2029"
_SLACK_USER: Final = re.compile(r"slack:([UW][A-Z0-9]{1,30})")
_FORMATS: Final = str.maketrans({"*": "∗", "~": "∼", "`": "ʹ"})
"""What would strike out or embolden parts of a text, to look-alikes. Not `_`: names have it, and italics are no lie."""


def one_line(text: str) -> str:
    """`text` in one line, without characters that can't be seen: none of them can change what is read."""
    kept = (" " if c in _BREAKS else c for c in text)
    return " ".join("".join(c for c in kept if unicodedata.category(c)[0] != "C").split())


def plain(text: str, chars_max: int) -> dict[str, Any]:
    """A text object in which nothing is markup; never empty, since Slack refuses that."""
    return {"type": "plain_text", "text": _escaped(one_line(text), chars_max) or "-", "emoji": False}


def plain_lines(text: str, chars_max: int) -> dict[str, Any]:
    """The same for a text of several lines."""
    lines = "\n".join(one_line(line) for line in text.splitlines()).strip()
    return {"type": "plain_text", "text": _escaped(lines, chars_max) or "-", "emoji": False}


def marked(text: str, chars_max: int) -> dict[str, Any]:
    """A text object with our own markup; what is not ours in it was escaped before. Nothing is made a link.

    Args:
        chars_max: a longer one is cut at a line's end, so that no escape and no mention is cut in two.
    """
    if len(text) > chars_max:
        room = chars_max - len(CUT) - 1
        cut = text.rfind("\n", 0, room)
        text = f"{text[:cut]}\n{CUT}" if cut > 0 else CUT
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def escape(text: str, chars_max: int) -> str:
    """`text` in one line for a place between our own markup: no mention, link or format comes of it.

    Args:
        chars_max: of the result; an escape is never cut in two.
    """
    return _escaped(one_line(text).translate(_FORMATS), chars_max)


def _escaped(text: str, chars_max: int) -> str:
    out: list[str] = []
    left = chars_max
    for char in text:
        piece = _ESCAPES.get(char, char)
        out.append(piece)
        left -= len(piece)
        if left < 0:
            while left < len(CUT):
                left += len(out.pop())
            return "".join(out) + CUT
    return "".join(out)


def person(identity: str, chars_max: int = 100) -> str:
    """A person in a text: a mention if it is somebody in Slack, else the name."""
    if (found := _SLACK_USER.fullmatch(identity)) is not None:
        return f"<@{found[1]}>"
    return escape(identity, chars_max)


def date(time_text: str) -> str:
    """A time (RFC 3339) as everybody sees it on their own clock; the text itself when it is no time."""
    try:
        at = datetime.fromisoformat(time_text)
    except ValueError:
        return escape(time_text, 40) or "-"
    if at.tzinfo is None or at.timestamp() < 0:
        return escape(time_text, 40)
    fallback = at.strftime("%Y-%m-%d %H:%M %Z")
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} at {{time}}|{fallback}>"
