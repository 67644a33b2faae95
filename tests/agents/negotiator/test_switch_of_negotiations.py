"""The kill switch: whatever can't be read with certainty means stop."""

import time

import pytest
from natsserver import NatsServer
from until import until_async

from agents.negotiator import switch
from bus import Bus
from schemas.negotiation import SwitchState


async def test_a_new_switch_lets_work_go_on(bus: Bus) -> None:
    await switch.ensure(bus)
    assert await switch.is_running(bus) == (True, "")


async def test_making_it_again_leaves_a_stopped_one_stopped(bus: Bus) -> None:
    await switch.ensure(bus)
    await switch.switches(bus).put(switch.KEY, SwitchState(is_stopped=True, by="ada", reason="audit"))
    await switch.ensure(bus)
    assert await switch.is_running(bus) == (False, "stopped by ada: audit")


async def test_a_key_that_was_deleted_is_not_made_again_and_means_stop(bus: Bus) -> None:
    await switch.ensure(bus)
    await switch.switches(bus).delete(switch.KEY)
    await switch.ensure(bus)
    is_running, why = await switch.is_running(bus)
    assert not is_running
    assert (
        why == "the kill switch can't be read, so everything stops: there is none under SWITCHES.negotiation"
    )


async def test_a_bucket_that_is_gone_means_stop_within_the_time_limit(bus: Bus) -> None:
    await switch.ensure(bus)
    await bus.connection.api("STREAM.DELETE.KV_SWITCHES")
    began = time.monotonic()
    is_running, why = await switch.is_running(bus)
    assert not is_running
    assert "no answer within 2 s" in why
    assert time.monotonic() - began < 8


async def test_garbage_in_it_means_stop(bus: Bus) -> None:
    await switch.ensure(bus)
    await bus.publisher.publish("$KV.SWITCHES.negotiation", "", b'{"is_stopped":"no"}')
    is_running, why = await switch.is_running(bus)
    assert not is_running
    assert "holds something else" in why


async def test_a_server_that_does_not_answer_means_stop(bus: Bus, server: NatsServer) -> None:
    await switch.ensure(bus)
    server.freeze()
    try:
        assert (await switch.is_running(bus))[0] is False
    finally:
        server.thaw()

    async def goes_on() -> bool:
        return (await switch.is_running(bus))[0]

    await until_async(goes_on, within_s=20)


async def test_who_stopped_it_first_stays_and_resuming_lets_work_go_on(bus: Bus) -> None:
    await switch.ensure(bus)
    state = await switch.set(bus, is_stopped=True, by="ada", reason="odd deals")
    assert state.is_stopped
    assert (await switch.set(bus, is_stopped=True, by="bob")).by == "ada"
    is_running, why = await switch.is_running(bus)
    assert not is_running
    assert why.startswith("stopped by ada at 20")
    assert why.endswith("UTC: odd deals")
    await switch.set(bus, is_stopped=False, by="bob")
    assert await switch.is_running(bus) == (True, "")


async def test_stopping_works_where_the_switch_is_missing_or_garbage(bus: Bus) -> None:
    await switch.set(bus, is_stopped=True, by="ada")
    await bus.publisher.publish("$KV.SWITCHES.negotiation", "", b"x")
    await switch.set(bus, is_stopped=True, by="bob")
    state = await switch.read(bus)
    assert isinstance(state, SwitchState)
    assert (state.is_stopped, state.by) == (True, "bob")


@pytest.mark.parametrize("reason", ["", "r" * 2_000])
async def test_reasons_are_bounded(bus: Bus, reason: str) -> None:
    state = await switch.set(bus, is_stopped=True, by="ada", reason=reason)
    assert len(state.reason) <= switch.REASON_CHARS_MAX
