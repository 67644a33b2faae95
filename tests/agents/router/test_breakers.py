"""Breakers are shared: what one router sees, all know, through restarts and whatever stands in the bucket."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict

from natsserver import NatsServer
from provider import Provider, Reply
from routerlab import Lab, ask, complete
from until import until

from agents.router.breaker import BreakerState
from agents.router.breakers import BUCKET, BreakerRecord, Breakers, breakers_bucket, key_of
from agents.router.learned import Learned
from agents.router.offers import Offer
from agents.router.upstream import FailureKind, UpstreamError
from bus import Bus

StartProvider = Callable[..., Provider]
OFFER = Offer(provider="paid", model="m")


def limited(retry_after_s: float) -> UpstreamError:
    return UpstreamError(FailureKind.RATE_LIMITED, "slow down", status=429, retry_after_s=retry_after_s)


def breakers(lab: Lab, bus: Bus, router_id: str, learned: Learned | None = None) -> Breakers:
    """Breakers of one router, listening."""
    made = Breakers(bus, learned or Learned(), router_id, time.time)
    lab.start(made.listen())
    return made


async def test_a_breaker_that_one_router_opens_keeps_the_other_away_within_half_a_second(
    guarded: Lab, second_bus: Bus, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(status=429, headers={"Retry-After": "30"}, error="Rate limit reached"))
    offer = guarded.paid(provider)
    first, second = guarded.router(offer), guarded.router(offer, bus=second_bus)
    guarded.start(second.breakers.listen())
    await complete(first, ask(), 1.0)
    await until(lambda: second.breakers.opens_at(offer), within_s=0.5)
    assert 28 < second.breakers.opens_at(offer) - time.time() <= 30
    reply = await complete(second, ask(), 1.0)
    assert reply.refusal is not None
    assert "breaker open" in reply.refusal.message
    assert provider.calls == 1


async def test_the_longest_of_many_openings_at_once_stands_everywhere(
    lab: Lab, bus: Bus, second_bus: Bus
) -> None:
    routers = [breakers(lab, (bus, second_bus)[n % 2], f"router-{n}") for n in range(8)]
    for pause_s in (5.0, 100.0, 20.0):
        for number, one in enumerate(routers):
            one.failed(OFFER, limited(pause_s + number))
        await asyncio.sleep(0)
    expected_s = time.time() + 107.0
    await until(
        lambda: all(abs(one.opens_at(OFFER) - expected_s) < 2.0 for one in routers),
        within_s=5.0,
        what="all know the longest opening",
    )
    stored = await breakers_bucket(bus).get(key_of(OFFER.name))
    assert stored is not None
    await until(lambda: not any(one._telling for one in routers), within_s=3.0)
    assert abs(stored[0].open_until_s - expected_s) < 2.0


async def test_a_change_during_a_write_is_told_too(lab: Lab, bus: Bus, second_bus: Bus) -> None:
    teller, hearer = breakers(lab, bus, "teller"), breakers(lab, second_bus, "hearer")
    teller.failed(OFFER, limited(5.0))
    await asyncio.sleep(0.001)
    teller.failed(OFFER, limited(50.0))
    await until(lambda: hearer.opens_at(OFFER) > time.time() + 40, within_s=2.0)


async def test_an_open_breaker_survives_a_restart_of_the_server_and_of_the_router(
    lab: Lab, server: NatsServer, bus: Bus, second_bus: Bus
) -> None:
    one = breakers(lab, bus, "one")
    one.failed(OFFER, limited(60.0))
    await until(lambda: not one._telling, within_s=2.0)
    server.kill()
    server.start()
    later = breakers(lab, second_bus, "later")
    await until(lambda: later.opens_at(OFFER) > time.time() + 50, within_s=10.0)
    other = Offer(provider="other", model="m")
    one.failed(other, limited(60.0))
    await until(lambda: later.opens_at(other), within_s=10.0)


async def test_what_is_seen_while_the_server_is_away_is_told_when_it_is_back(
    lab: Lab, server: NatsServer, bus: Bus, second_bus: Bus
) -> None:
    one, two = breakers(lab, bus, "one"), breakers(lab, second_bus, "two")
    one.failed(OFFER, limited(60.0))
    await until(lambda: two.opens_at(OFFER), within_s=2.0)
    server.kill()
    other = Offer(provider="other", model="m")
    one.failed(other, limited(60.0))
    await asyncio.sleep(0.1)
    server.start()
    await until(lambda: two.opens_at(other), within_s=12.0)


async def test_an_unreadable_record_stops_neither_listening_nor_telling(
    lab: Lab, bus: Bus, second_bus: Bus
) -> None:
    await breakers_bucket(bus).ensure()
    junk = bus.bucket(BUCKET, dict)
    await junk.put(key_of(OFFER.name), {"name": 7})
    await junk.put("something-else", {"open_until_s": []})
    one, two = breakers(lab, bus, "one"), breakers(lab, second_bus, "two")
    await asyncio.sleep(0.1)
    one.failed(OFFER, limited(60.0))
    await until(lambda: two.opens_at(OFFER), within_s=3.0)
    await junk.put("something-else", {"open_until_s": []})
    two.failed(OFFER, limited(600.0))
    await until(lambda: one.opens_at(OFFER) > time.time() + 500, within_s=3.0)


async def test_an_opening_too_far_ahead_to_be_true_is_not_believed(
    lab: Lab, bus: Bus, second_bus: Bus
) -> None:
    one = breakers(lab, bus, "one")
    far = BreakerState(open_until_s=time.time() + 10**6, failures=9, reason="server_error", opened_by="odd")
    await breakers_bucket(bus).ensure()
    await breakers_bucket(second_bus).put(key_of(OFFER.name), BreakerRecord(name=OFFER.name, **asdict(far)))
    await asyncio.sleep(0.1)
    assert one.opens_at(OFFER) == 0.0
    one.failed(OFFER, limited(30.0))
    assert 28 < one.opens_at(OFFER) - time.time() <= 30


async def test_a_recovery_that_another_router_saw_brings_traffic_back_by_and_by(
    lab: Lab, bus: Bus, second_bus: Bus
) -> None:
    learned = Learned()
    one, two = breakers(lab, bus, "one"), breakers(lab, second_bus, "two", learned)
    limit = learned.limit(OFFER)
    assert limit.limit > 1
    one.failed(OFFER, limited(0.1))
    await until(lambda: two.of(OFFER), within_s=2.0)
    await asyncio.sleep(0.15)
    one.succeeded(OFFER, time.time() - 0.01)
    await until(lambda: limit.limit == 1, within_s=2.0)
    assert not two.opens_at(OFFER)
    assert not two.is_probing(OFFER)
