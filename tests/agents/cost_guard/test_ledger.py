"""The ledger's core: whatever comes in whatever order, no account passes its stop, and replay gives the same state."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cost_guard.books import Batch
from agents.cost_guard.ledger import (
    Alerted,
    Granted,
    Ledger,
    LedgerState,
    Limits,
    Refused,
    month_of,
    next_month,
)
from schemas.cost import CallRecord, Outcome, ReserveRequest

NOVEMBER = 1_795_000_000.0
LIMITS = Limits(month_nusd=1_000, stop_percent=90, task_nusd=300, tenants={"acme": 500})


def ask(call_id: str, money: int, *, want: int | None = None, **more: object) -> ReserveRequest:
    return msgspec.convert(
        {"call_id": call_id, "min_nusd": money, "want_nusd": want or money, "lease_s": 10.0, **more},
        ReserveRequest,
    )


def held(ledger: Ledger) -> int:
    return sum(reservation.amount_nusd for reservation in ledger.state.open.values())


def test_money_for_nine_calls_is_granted_nine_times_and_then_refused() -> None:
    ledger = Ledger(Limits(month_nusd=1_000, stop_percent=90))
    answers = [ledger.reserve(ask(f"c{n}", 100), NOVEMBER) for n in range(12)]
    assert [type(answer) for answer in answers] == [Granted] * 9 + [Refused] * 3
    last = answers[-1]
    assert isinstance(last, Refused)
    assert last.may_fit_later, "nothing is spent yet: all of it may come back"
    assert (last.budget.stop_nusd, last.budget.reserved_nusd, last.budget.resets_at) == (
        900,
        900,
        "2026-12-01T00:00:00Z",
    )


def test_a_refusal_names_the_limit_that_stands_in_the_way() -> None:
    ledger = Ledger(LIMITS)
    assert ledger.reserve(ask("a", 300, task_id="t1", tenant="acme"), NOVEMBER) == Granted(300)
    refused = ledger.reserve(ask("b", 1, task_id="t1", tenant="acme"), NOVEMBER)
    assert isinstance(refused, Refused)
    assert refused.budget.limit == "task t1"
    refused = ledger.reserve(ask("c", 200, task_id="t2", tenant="acme"), NOVEMBER)
    assert isinstance(refused, Refused)
    assert refused.budget.limit == "tenant acme 2026-11"


def test_what_is_spent_for_good_cannot_be_waited_for() -> None:
    ledger = Ledger(Limits(month_nusd=100, stop_percent=100))
    ledger.reserve(ask("a", 60), NOVEMBER)
    ledger.settle(CallRecord(call_id="a", cost_nusd=60), NOVEMBER)
    refused = ledger.reserve(ask("b", 50), NOVEMBER)
    assert isinstance(refused, Refused)
    assert not refused.may_fit_later


def test_less_than_wanted_is_granted_when_no_more_is_left() -> None:
    ledger = Ledger(Limits(month_nusd=100, stop_percent=100))
    ledger.reserve(ask("a", 70), NOVEMBER)
    assert ledger.reserve(ask("b", 10, want=500), NOVEMBER) == Granted(30)


def test_settling_twice_counts_once_and_the_rest_of_the_reservation_comes_back() -> None:
    ledger = Ledger(LIMITS)
    ledger.reserve(ask("a", 300, task_id="t"), NOVEMBER)
    record = CallRecord(call_id="a", task_id="t", cost_nusd=120)
    assert ledger.settle(record, NOVEMBER)
    assert not ledger.settle(record, NOVEMBER)
    [budget, task] = ledger.budgets("t", "")
    assert (budget.spent_nusd, budget.reserved_nusd, task.spent_nusd) == (120, 0, 120)


def test_an_expired_reservation_is_charged_whole_until_the_truth_is_settled() -> None:
    ledger = Ledger(LIMITS)
    ledger.reserve(ask("a", 200, task_id="t"), NOVEMBER)
    assert ledger.sweep(NOVEMBER + 9, "") == 0
    assert ledger.sweep(NOVEMBER + 10, "") == 1
    assert (ledger.state.months["2026-11"].spent_nusd, held(ledger)) == (200, 0)
    assert ledger.settle(CallRecord(call_id="a", task_id="t", cost_nusd=50), NOVEMBER + 11)
    assert ledger.state.months["2026-11"].spent_nusd == 50
    assert ledger.state.tasks["t"].spent_nusd == 50


def test_an_expired_reservation_that_was_never_sent_comes_back() -> None:
    ledger = Ledger(LIMITS)
    ledger.reserve(ask("a", 200, on_expiry="release"), NOVEMBER)
    ledger.sweep(NOVEMBER + 10, "")
    assert ledger.state.months["2026-11"].spent_nusd == 0
    assert ledger.reserve(ask("b", 300), NOVEMBER) == Granted(300)


def test_a_bill_over_the_reservation_is_recorded_as_it_is_and_stops_what_comes() -> None:
    ledger = Ledger(Limits(month_nusd=100, stop_percent=90))
    ledger.reserve(ask("a", 50), NOVEMBER)
    ledger.settle(CallRecord(call_id="a", cost_nusd=95), NOVEMBER)
    assert ledger.state.months["2026-11"].spent_nusd == 95
    assert isinstance(ledger.reserve(ask("b", 1), NOVEMBER), Refused)


def test_a_new_month_has_its_own_money_and_an_old_reservation_is_paid_by_the_old_one() -> None:
    ledger = Ledger(LIMITS)
    ledger.reserve(ask("a", 300), NOVEMBER)
    december = NOVEMBER + 31 * 86_400
    assert month_of(december) == "2026-12"
    ledger.settle(CallRecord(call_id="a", cost_nusd=300), december)
    assert ledger.budgets("", "")[0].spent_nusd == 0
    assert ledger.state.months["2026-11"].spent_nusd == 300
    ledger.reserve(ask("b", 300), NOVEMBER)  # the clock jumped back: no second November
    assert ledger.state.months["2026-12"].held_nusd == 300


def test_each_threshold_is_told_once() -> None:
    ledger = Ledger(Limits(month_nusd=1_000, stop_percent=90, alert_percents=(50, 75)))
    told = []
    for n in range(12):
        answer = ledger.reserve(ask(f"c{n}", 100), NOVEMBER)
        if isinstance(answer, Granted):
            ledger.settle(CallRecord(call_id=f"c{n}", cost_nusd=100), NOVEMBER)
        ledger.alert([answer.budget] if isinstance(answer, Refused) else [])
        told += [(entry.percent, entry.is_stop) for entry in ledger.entries if isinstance(entry, Alerted)]
        ledger.entries.clear()
    assert sorted(told) == [(50, False), (75, False), (90, True)]


def test_next_month_turns_the_year() -> None:
    assert next_month("2026-12") == "2027-01-01T00:00:00Z"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "release", "sweep"]),
        st.integers(0, 9),
        st.integers(0, 400),
        st.sampled_from(["", "t1", "t2"]),
        st.sampled_from(["", "acme"]),
        st.sampled_from(["charge", "release"]),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_no_account_ever_passes_its_stop_and_replay_gives_the_same_state(steps: list[tuple]) -> None:
    ledger = Ledger(LIMITS)
    now = NOVEMBER
    for kind, number, money, task, tenant, on_expiry in steps:
        now += 1
        call_id = f"c{number}"
        if kind == "reserve":
            ledger.reserve(
                ask(call_id, money // 2, want=money, task_id=task, tenant=tenant, on_expiry=on_expiry), now
            )
        elif kind == "settle" and (reservation := ledger.state.open.get(call_id)):
            ledger.settle(
                CallRecord(
                    call_id=call_id,
                    task_id=reservation.task_id,
                    tenant=reservation.tenant,
                    cost_nusd=min(money, reservation.amount_nusd),
                    outcome=Outcome.ANSWERED,
                ),
                now,
            )
        elif kind == "release":
            ledger.release(call_id)
        elif kind == "sweep":
            now += 8
            ledger.sweep(now, "")
        month = ledger.state.months.get("2026-11")
        if month:
            assert 0 <= month.spent_nusd + month.held_nusd <= 900
            assert month.held_nusd == held(ledger)
        for task_id, account in ledger.state.tasks.items():
            assert 0 <= account.spent_nusd + account.held_nusd <= 300, task_id
        acme = ledger.state.tenants.get("acme 2026-11")
        assert acme is None or acme.spent_nusd + acme.held_nusd <= 450
    again = Ledger(LIMITS, LedgerState())
    stored = msgspec.json.decode(
        msgspec.json.encode(Batch(epoch=1, entries=tuple(ledger.entries))), type=Batch
    )
    again.replay(stored.entries)
    again.state.month = ledger.state.month
    assert again.state == ledger.state
