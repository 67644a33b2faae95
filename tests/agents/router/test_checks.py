import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.router.checks import check, is_refusal, strip_thinking
from agents.router.upstream import UpstreamAnswer
from schemas.llm import ToolCall

REFUSALS = [
    "I'm sorry, but I can't assist with that request.",
    "I’m sorry, but I can’t help with that.",
    "Sorry, I can't do that.",
    "I cannot fulfill this request.",
    "I can't help you with that.",
    "As an AI language model, I cannot provide information on that topic.",
    "I am unable to comply with this request.",
    "I'm sorry, I'm not able to help with this.",
    "Unfortunately, I will not engage in this kind of conversation.",
    '"I apologize, but I cannot provide instructions for that."',
    "Tut mir leid, dabei kann ich nicht helfen.",
    "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
    "Désolé, je ne peux pas vous aider avec cela.",
    "Je suis désolée, mais je ne peux pas répondre à cette demande.",
    "Lo siento, pero no puedo ayudar con eso.",
    "Mi dispiace, ma non posso aiutare.",
    "Desculpe, mas não posso ajudar com isso.",
    "Извините, но я не могу помочь с этим.",
    "抱歉，我无法提供这方面的信息。",
    "很抱歉，我不能协助您完成这个请求。",
    "申し訳ありませんが、そのご要望にはお答えできません。",
]
ANSWERS = [
    "I can't find any bugs in this function.",
    "I cannot rule out an SQL injection in line 3.",
    "I'm sorry to hear that. Try restarting the server.",
    "Sorry, the total is 15, not 16.",
    "Unfortunately, I can't determine the year from the text: it isn't given.",
    "The model says: I can't assist with that.",
    "I can't helpfully shorten this any further.",
    "Tut mir leid, das kann ich im Text nicht finden.",
    "No puedo ver errores en el código.",
    "No.",
    "{}",
    "抱歉，这里有一个错误：应为 15。",
    "申し訳ありませんが、合計は15です。",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_polite_no_is_a_refusal(text: str) -> None:
    assert is_refusal(text)
    assert check(UpstreamAnswer(text=text), wants_schema=False, has_tools=False) == "refused"


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_that_cannot_do_something_is_none(text: str) -> None:
    assert check(UpstreamAnswer(text=text), wants_schema=False, has_tools=False) == ""


def test_a_long_text_that_begins_like_a_refusal_is_an_answer() -> None:
    text = "I can't help with that, but here is what I can do. " + "Step by step. " * 30
    assert not is_refusal(text)


def test_the_protocols_own_words_for_a_refusal_count() -> None:
    for answer in (
        UpstreamAnswer(text="{}", refusal="no"),
        UpstreamAnswer(text="a", finish_reason="content_filter"),
    ):
        assert check(answer, wants_schema=True, has_tools=False) == "refused"


@pytest.mark.parametrize("text", ["", " \n", "<think>hm</think>", "<think></think>\n"])
def test_nothing_but_thinking_is_empty(text: str) -> None:
    assert check(UpstreamAnswer(text=text), wants_schema=False, has_tools=False) == "empty"


@pytest.mark.parametrize(
    ("text", "wants_schema", "wrong"),
    [
        ('{"a": 1', True, "truncated"),
        ("Once upon", False, ""),
        ("<think>still", False, "truncated"),
        ("", False, "truncated"),
    ],
)
def test_an_answer_cut_at_its_limit(text: str, wants_schema: bool, wrong: str) -> None:
    assert (
        check(UpstreamAnswer(text=text, finish_reason="length"), wants_schema=wants_schema, has_tools=False)
        == wrong
    )


def test_tool_calls_are_an_answer_only_where_tools_were_offered() -> None:
    answer = UpstreamAnswer(tool_calls=(ToolCall(id="1", name="f"),), finish_reason="tool_calls")
    assert check(answer, wants_schema=False, has_tools=True) == ""
    assert check(answer, wants_schema=False, has_tools=False) == "empty"


def test_tool_calls_that_were_cut_cannot_be_used() -> None:
    answer = UpstreamAnswer(tool_calls=(ToolCall(id="1", name="f", arguments='{"a'),), finish_reason="length")
    assert check(answer, wants_schema=False, has_tools=True) == "truncated"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<think>a\nb</think>\n\nyes", "yes"),
        ("\n<think>a</think><think>b</think>yes", "yes"),
        ("<thinking>a</thinking>yes", "yes"),
        ("<think>never ends {}", ""),
        ("template opened it\n</think>\n\nyes", "yes"),
        ('hm</think>{"a": 1}', '{"a": 1}'),
        ("Use the <think> tag.", "Use the <think> tag."),
        ("A </think> here is only mentioned.", "A </think> here is only mentioned."),
        (
            "Write <think> first, then </think>\nand the answer.",
            "Write <think> first, then </think>\nand the answer.",
        ),
        ("See <think>x</think> for that.", "See <think>x</think> for that."),
    ],
)
def test_thinking_comes_first_and_is_left_out(text: str, rest: str) -> None:
    assert strip_thinking(text) == rest


@given(st.text("abc{}[]\n "), st.text("abc{}[]\n "))
def test_what_follows_thinking_stays(thought: str, answer: str) -> None:
    assert strip_thinking(f"<think>{thought}</think>{answer}") == answer.lstrip()


PIECES = st.sampled_from(["<think>", "</think>", "<thinking>", "a", "\n", "{"])


@given(st.lists(PIECES, max_size=12).map("".join) | st.text())
def test_any_text_is_checked(text: str) -> None:
    for reason in ("stop", "length", "tool_calls"):
        wrong = check(UpstreamAnswer(text=text, finish_reason=reason), wants_schema=True, has_tools=True)
        assert wrong in ("", "empty", "truncated", "refused")


@pytest.mark.parametrize(
    "piece", ["<think>", "</think>", "<think></think>", "i'm sorry, but ", "申し訳ありません"]
)
def test_a_hostile_text_takes_no_long_time(piece: str) -> None:
    text = piece * (2_000_000 // len(piece))
    begun = time.process_time()
    check(UpstreamAnswer(text=text), wants_schema=False, has_tools=False)
    assert time.process_time() - begun < 2.0
