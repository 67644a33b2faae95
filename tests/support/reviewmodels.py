"""Stand-in models that review: what they claim is decided by the code that they are shown."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from provider import Reply

Claim = dict[str, Any]
SHOWN_LINE = re.compile(r"^(\d+)\| (.*)$", re.M)


def shown_code(body: dict[str, Any]) -> str:
    """What stands between the markers of a request."""
    return body["messages"][-1]["content"].split("end of code>>>")[0]


def asked(body: dict[str, Any]) -> str:
    """What stands after the code."""
    return body["messages"][-1]["content"].split("end of code>>>", 1)[1]


def is_verdict(body: dict[str, Any]) -> bool:
    return "You judge reports" in json.dumps(body["messages"])


def claim(line: int, quote: str, **fields: Any) -> Claim:
    return {
        "path": "",
        "line": line,
        "quote": quote,
        "title": "Something is wrong",
        "severity": "high",
        "cwe": 0,
        "why": "It breaks.",
        "fix": "",
    } | fields


def answer(*claims: Claim, **fields: Any) -> Reply:
    return Reply(text=json.dumps({"findings": list(claims)}), **fields)


def verdicts(real: Sequence[bool], **fields: Any) -> Reply:
    rows = [
        {"number": number, "because": "so it is", "real": is_real} for number, is_real in enumerate(real, 1)
    ]
    return Reply(text=json.dumps({"verdicts": rows}), **fields)


def finds(pattern: str, *, real: bool = True, **fields: Any) -> Callable[[dict[str, Any], int], Reply]:
    """A model that claims every shown line that holds `pattern`, and judges all reports alike."""

    def reply(body: dict[str, Any], number: int) -> Reply:
        if is_verdict(body):
            return verdicts([real] * len(re.findall(r"^\d+\. line", asked(body), re.M)))
        path = re.findall(r"^=== (.+) \(lines", shown_code(body), re.M)
        found = [
            claim(int(line), text, path=path[0], **fields)
            for line, text in SHOWN_LINE.findall(shown_code(body))
            if pattern in text
        ]
        return answer(*found)

    return reply
