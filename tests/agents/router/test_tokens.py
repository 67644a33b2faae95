import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.router.tokens import bound_input, count_input, count_text
from schemas.llm import ImagePart, Message, TextPart, Tool, ToolCall

PROSE = (
    "The router picks, for every model call, who answers it, under a latency and a money limit. It reserves the money "
    "before the call, and settles what was really spent afterwards, so that no budget is ever exceeded."
)
CODE = '''def cost(self, tokens: int) -> int:
    """Nano-USD, rounded up."""
    return -(-tokens * self.price // 1_000_000)
'''
JSON = (
    '{"items": [{"name": "widget", "price": 12.5, "tags": ["a", "b"]}, {"name": "gear", "price": 3, "tags": []}], '
    '"total": 15.5}'
)
TEXTS = st.text(max_size=300) | st.text("aé中🙂 \n{}\"'0", max_size=300)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, ...]:
    parts = st.lists(
        st.builds(TextPart, text=TEXTS) | st.just(ImagePart(url="data:image/png;base64,AAAA")), max_size=3
    ).map(tuple)
    calls = st.lists(
        st.builds(ToolCall, id=st.just("c1"), name=st.just("f"), arguments=TEXTS), max_size=2
    ).map(tuple)
    message = st.builds(Message, role=st.just("user"), content=TEXTS | parts, tool_calls=calls)
    return tuple(draw(st.lists(message, min_size=1, max_size=4)))


@given(messages(), st.booleans())
def test_the_guess_never_exceeds_the_bound(prompt: tuple[Message, ...], has_tools: bool) -> None:
    tools = (Tool(name="f", description="does"),) if has_tools else ()
    schema = {"type": "object"} if has_tools else None
    assert 0 < count_input(prompt, tools, schema) <= bound_input(prompt, tools, schema)


@given(messages())
def test_the_bound_covers_every_byte(prompt: tuple[Message, ...]) -> None:
    text = "".join(
        message.content
        if isinstance(message.content, str)
        else "".join(part.text for part in message.content if isinstance(part, TextPart))
        for message in prompt
    )
    assert bound_input(prompt, (), None) >= len(text.encode()) + 16 * len(prompt) + 64


@given(TEXTS, TEXTS)
def test_more_text_is_about_as_much_more(one: str, other: str) -> None:
    both = count_text(one + " " + other)
    apart = count_text(one) + count_text(other)
    assert 0.5 * apart - 8 <= both <= 1.5 * apart + 8


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # What SmolLM2's tokenizer makes of them.
        (PROSE, 45),
        (CODE, 44),
        (JSON, 56),
    ],
)
def test_common_text_is_guessed_within_a_fifth(text: str, tokens: int) -> None:
    assert count_text(text) == pytest.approx(tokens, rel=0.2)


def test_chinese_counts_by_the_character() -> None:
    assert count_text("人工智能" * 10) == 40


def test_an_empty_text_has_no_tokens() -> None:
    assert count_text("") == 0


def test_images_count_and_are_bounded() -> None:
    image = Message(role="user", content=(ImagePart(url="https://example.org/a.png"),))
    plain = Message(role="user", content=())
    assert count_input([image], (), None) - count_input([plain], (), None) == 1_100
    assert bound_input([image], (), None) - bound_input([plain], (), None) == 4_096


def test_tools_and_schema_count() -> None:
    prompt = [Message(role="user", content="hi")]
    tool = Tool(name="search", description="finds", parameters={"type": "object"})
    assert (
        count_input(prompt, [tool], None) > count_input(prompt, (), {"type": "object"}) > count_input(prompt)
    )


def test_half_a_surrogate_pair_is_counted_too() -> None:
    assert count_input([Message(role="user", content="\ud800")], (), None) > 0
