"""Is it an answer at all? Empty ones, ones cut short and refusals, told apart from answers."""

import re
from typing import Final

from agents.router.upstream import UpstreamAnswer
from schemas.cost import Outcome

REFUSAL_CHARS_MAX: Final = 300
THINK_BLOCKS_MAX: Final = 32

_THINK_TAGS: Final = (("<think>", "</think>"), ("<thinking>", "</thinking>"))

# A refusal names what it won't do in general words. "I can't find a bug here" is an answer, so inability alone is
# never enough.
_SORRY_EN = (
    r"(?:(?:i'm|i am) (?:very |really |so )?sorry|sorry|i apologi[sz]e|unfortunately"
    r"|as an ai(?: language model| assistant)?),? (?:but )?"
)
_CANNOT_EN = (
    r"(?:can't|can ?not|won't(?: be able to)?|will not)|(?:i'm|i am) (?:unable|not able|not allowed) to"
)
_DO_EN = (
    r"(?:assist|comply|fulfill?|engage in|participate|do that|help (?:you )?with (?:that|this)"
    r"|provide (?:that|this|assistance|help|instructions|guidance|information (?:on|about|that))"
    r"|(?:answer|discuss|support|continue with|create|generate|write) (?:that|this))\b"
)
_REFUSALS: Final = re.compile(
    "|".join(
        (
            rf"(?:{_SORRY_EN})?(?:i (?:really |simply |just )?)?(?:{_CANNOT_EN}) {_DO_EN}",
            r"(?:es )?tut mir leid,? (?:aber )?(?:(?:dabei|damit|das) (?:kann|darf) ich|ich (?:kann|darf)"
            r"(?: ihnen| dir)?(?: dabei| damit| das)?)(?: ihnen| dir)? nicht (?:weiter)?(?:helfen|beantworten|tun)",
            r"(?:je suis )?désolée?,? (?:mais )?je ne (?:peux|puis) pas (?:vous )?(?:aider|répondre|fournir|faire)",
            r"lo siento,? (?:pero )?no puedo (?:ayudar|proporcionar|cumplir|responder|hacer)",
            r"mi dispiace,? (?:ma )?non posso (?:aiutar|fornire|rispondere|fare)",
            r"(?:desculpe|sinto muito|lamento),? (?:mas )?não posso (?:ajudar|fornecer|responder|fazer)",
            r"(?:извините|простите|к сожалению),? (?:но )?я не могу (?:помочь|ответить|предоставить|выполнить)",
            r"(?:很|非常)?(?:抱歉|对不起|對不起)[，, ]*但?我(?:无法|不能|無法)(?:为您|为你|為您)?"
            r"(?:提供|协助|協助|回答|帮助|幫助|满足|生成)",
            r"(?:申し訳(?:ありません|ございません)|すみません)が?[、, ]*.{0,40}"
            r"(?:お手伝い|お答え|対応|提供)(?:することは|は)?(?:でき|いたし?かね)",
        )
    )
)


def check(answer: UpstreamAnswer, *, wants_schema: bool, has_tools: bool) -> str:
    """What is wrong with an answer: a value of `Outcome` (`empty`, `truncated`, `refused`), or "" for nothing.

    Free text that was cut at `max_tokens` is fine (its `finish_reason` tells), unless nothing of it is left
    beside the thinking; structured answers and tool calls that were cut can't be used.

    Args:
        has_tools: whether tools were offered, so that calls of them are an answer.
    """
    if answer.refusal or answer.finish_reason == "content_filter":
        return Outcome.REFUSED
    is_cut = answer.finish_reason == "length"
    if has_tools and answer.tool_calls:
        return Outcome.TRUNCATED if is_cut else ""
    text = strip_thinking(answer.text).strip()
    if is_cut and (wants_schema or not text):
        return Outcome.TRUNCATED
    if not text:
        return Outcome.EMPTY
    return Outcome.REFUSED if is_refusal(text) else ""


def is_refusal(text: str) -> bool:
    """Whether a text is nothing but a model's polite no. In doubt it isn't."""
    if len(text) >= REFUSAL_CHARS_MAX:
        return False
    plain = " ".join(text.replace("’", "'").casefold().split()).lstrip("\"'*_#> ")
    return _REFUSALS.match(plain) is not None


def strip_thinking(text: str) -> str:
    """The text without the thinking that it begins with; nothing is left when thinking never ended.

    Tags further in belong to the answer. A closing tag alone ends thinking, too: some chat templates put the
    opening one into the prompt.
    """
    for _ in range(THINK_BLOCKS_MAX):
        rest = _without_first_block(text)
        if rest is None:
            return text
        text = rest
    return text


def _without_first_block(text: str) -> str | None:
    begin = text.lstrip()
    for opening, closing in _THINK_TAGS:
        if begin.startswith(opening):
            _, _, rest = begin.partition(closing)
            return rest.lstrip()
        before, tag, rest = text.partition(closing)
        if tag and opening not in before and _ends_thinking(rest):
            return rest.lstrip()
    return None


def _ends_thinking(rest: str) -> bool:
    """Whether a closing tag without an opening one is meant, not merely mentioned: it ends its line."""
    return not rest or rest[0] in "\r\n{["
