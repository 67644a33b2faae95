"""What an answer is worth: whether it is one, and whether it satisfies the schema that was asked for. Pure."""

from dataclasses import dataclass
from typing import Any

from agents.router.checks import check
from agents.router.structured import OffSchemaError, decode_answer
from agents.router.upstream import UpstreamAnswer
from schemas.cost import Outcome
from schemas.llm import CompletionRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is thought of an answer.

    Attributes:
        outcome: for the books.
        value: decoded, when a schema was asked for and is satisfied.
        is_delivered: whether the caller gets it; else something else is tried, or the caller hears why not.
        off_schema: what is wrong with it, when that was the schema.
    """

    outcome: Outcome
    value: Any = None
    is_delivered: bool = True
    off_schema: OffSchemaError | None = None


def judge(answer: UpstreamAnswer, request: CompletionRequest) -> Verdict:
    """Look at an answer to `request`, whose schema is normalised."""
    problem = check(answer, wants_schema=request.schema is not None, has_tools=bool(request.tools))
    is_declined = bool(answer.refusal) or answer.finish_reason == "content_filter"
    if problem == Outcome.REFUSED and not is_declined:
        # It merely reads like a refusal. As free text that is for the caller to judge; a refusal that satisfies
        # a schema is an answer all the same.
        if request.schema is None:
            return Verdict(outcome=Outcome.REFUSED)
        problem = ""
    if problem:
        return Verdict(outcome=Outcome(problem), is_delivered=False)
    if request.schema is None or answer.tool_calls:
        return Verdict(outcome=Outcome.ANSWERED)
    try:
        value = decode_answer(answer.text, request.schema)
    except OffSchemaError as error:
        reads_like_no = check(answer, wants_schema=True, has_tools=False) == Outcome.REFUSED
        outcome = Outcome.REFUSED if reads_like_no else Outcome.OFF_SCHEMA
        return Verdict(outcome=outcome, is_delivered=False, off_schema=error)
    return Verdict(outcome=Outcome.ANSWERED, value=value)
