"""Does a name say that it holds a secret, and does a text look like one?"""

import math
import re
from collections import Counter
from typing import Final

SECRET_CHARS_MIN: Final = 8
SECRET_CHARS_MAX: Final = 2_000
ENTROPY_BITS_MIN: Final = 2.5
"""Per character. English words lie near 2.3 to 3, random keys above 3.5."""

_NAME = re.compile(
    r"(?i)(?:^|[_.-]|[a-z0-9](?=[A-Z]))?(?:pass(?:wd|word|phrase)|passwd|pwd|secret|token|api_?-?key|access_?key|private_?key"
    r"|client_?secret|auth_?key|encryption_?key|signing_?key|jwt_?key|credentials?)s?(?:_?(?:key|value|prod|dev|live))?['\"]?$"
)
_ABOUT = re.compile(
    r"(?i)(?:type|name|url|uri|path|endpoint|field|header|label|prefix|regex|pattern|placeholder|error|message|title|hint"
    r"|file|length|expir\w*|event|action|id)['\"]?$|^(?:show|hide|toggle|is|has|use|forgot|reset|change|confirm|no|csrf|next|page"
    r"|cancel|design|color)_?(?=[A-Z_]|token)|max_?tokens?"
)
_PLACEHOLDER = re.compile(
    r"(?i)change.?me|placeholder|your.|example|dummy|sample|fake|mock|xxx|\*\*\*|\.\.\.|todo|insert|redacted|<|test|foobar"
    r"|process\.env|env\.|\{\{|%\w|\$\{|\$\(|lorem|undefined|^null$|^(?:my|the|new|old|enter)?.?(?:password|passwort|secret|token|api.?key)$"
    r"|^(.)\1+$|1234567|abcdefg|qwerty"
)
_PLAIN_WORDS = re.compile(r"[A-Za-z]+(?:[ _.:/-][A-Za-z]+)*[.!?:]?")
_PASSPHRASE = re.compile(r"(?i)(?=.*(?:secret|key|pass))[a-z]+(?:[-_][a-z]+){2,}")
"""Words, but such as people type where a key should be: `my-super-secret-key`."""
_ADDRESS = re.compile(r"(?i)(?:https?:)?//|/|\.{1,2}/|[a-z][\w+.-]*://|[#.][\w-]+$|@/")
_KNOWN_SHAPE = re.compile(
    r"sk_live_\w{8,}|sk-[\w-]{16,}|gh[pousr]_\w{20,}|AKIA[0-9A-Z]{12,}|xox[abpr]-[\w-]{10,}|AIza[\w-]{20,}|eyJ[\w-]+\.[\w-]+\."
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
)


def is_secret_name(name: str) -> bool:
    """Whether something called so holds a secret itself: `apiKey` does, `apiKeyHeader` or `tokenUrl` doesn't."""
    name = name.strip("'\"`")
    return _NAME.search(name) is not None and _ABOUT.search(name) is None


def is_secret_value(text: str) -> bool:
    """Whether the text of a string literal looks like a real secret, rather than a placeholder or a word."""
    text = text.strip().lstrip("@r").strip("'\"`")
    if not SECRET_CHARS_MIN <= len(text) <= SECRET_CHARS_MAX:
        return False
    if _KNOWN_SHAPE.match(text):
        return True
    if _PASSPHRASE.fullmatch(text) and not _PLACEHOLDER.search(text):
        return True
    if _PLACEHOLDER.search(text) or _ADDRESS.match(text) or _PLAIN_WORDS.fullmatch(text) or " " in text:
        return False
    return entropy_bits(text) >= ENTROPY_BITS_MIN


def entropy_bits(text: str) -> float:
    """Shannon entropy of the characters of a text, in bits per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
