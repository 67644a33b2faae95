"""The audit log: each line once, bounded, readable by what it is about, and never pushed out."""

import msgspec
import pytest

from bus import Bus, StreamFullError
from bus.audit import DETAIL_CHARS_MAX, FIELD_CHARS_MAX
from bus.streams import AUDIT
from schemas.approval import AuditEntry


def line(subject: str = "a1", **changes: str) -> AuditEntry:
    plain = AuditEntry(
        at="2026-01-01T00:00:00Z", what="approval.approve", identity="cli:alice", outcome="counted"
    )
    return msgspec.structs.replace(plain, subject=subject, **changes)


async def lines(bus: Bus, subject: str = "") -> list[AuditEntry]:
    return [one async for one in bus.audits(subject=subject)]


async def test_a_line_is_stored_once_for_its_id(bus: Bus) -> None:
    assert await bus.audit(line(), "x-1")
    assert not await bus.audit(line(detail="again"), "x-1")
    assert await bus.audit(line())
    assert await bus.audit(line())
    assert [one.detail for one in await lines(bus)] == ["", "", ""]


async def test_lines_are_read_in_order_and_by_subject(bus: Bus) -> None:
    for number in range(30):
        await bus.audit(line(f"a{number % 3}", detail=str(number)))
    assert [one.detail for one in await lines(bus)] == [str(number) for number in range(30)]
    assert [one.detail for one in await lines(bus, "a1")] == [str(number) for number in range(1, 30, 3)]
    assert await lines(bus, "nothing") == []


@pytest.mark.parametrize("subject", ["", "a.b", "*", ">", "with space", "x" * 300, "é"])
async def test_whatever_it_is_about_it_has_an_address(bus: Bus, subject: str) -> None:
    await bus.audit(line(subject))
    [found] = await lines(bus, subject)
    assert found.subject == subject[:FIELD_CHARS_MAX]


async def test_an_id_that_is_none_is_refused(bus: Bus) -> None:
    with pytest.raises(ValueError, match="audit id 'a b' must be"):
        await bus.audit(line(), "a b")


async def test_long_texts_are_cut(bus: Bus) -> None:
    await bus.audit(line(detail="d" * 50_000, identity="i" * 50_000))
    [found] = await lines(bus)
    assert (len(found.detail), len(found.identity)) == (DETAIL_CHARS_MAX, FIELD_CHARS_MAX)


async def test_what_is_no_line_is_passed_over(bus: Bus) -> None:
    await bus.publisher.publish("audit.a1.junk", "", b"junk")
    await bus.audit(line())
    assert len(await lines(bus)) == 1


async def test_a_full_log_is_an_error_and_loses_no_line(bus: Bus) -> None:
    await bus.audit(line(detail="first"))
    config = (await bus.connection.api(f"STREAM.INFO.{AUDIT}"))["config"]
    changed = await bus.connection.api(f"STREAM.UPDATE.{AUDIT}", {**config, "max_msgs": 1})
    assert "error" not in changed
    with pytest.raises(StreamFullError):
        await bus.audit(line(detail="second"), timeout_s=0.3)
    assert [one.detail for one in await lines(bus)] == ["first"]


async def test_the_log_is_among_the_streams(bus: Bus) -> None:
    await bus.audit(line())
    [audit] = [stream for stream in await bus.streams() if stream.name == AUDIT]
    assert audit.messages == 1
