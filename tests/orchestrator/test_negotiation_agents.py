"""What is refused before agents of negotiations start."""

import msgspec
import pytest

from config.policy import Policy, Rule
from config.settings import BusSettings, Settings
from orchestrator.negotiation_agents import check_deadlines
from orchestrator.shell import UserError

DAY_S = 86_400.0


def test_approvals_that_would_outlive_what_they_are_about_are_refused() -> None:
    policy = Policy(version="1", deadline_s=DAY_S, rules={"deal": Rule(deadline_s=8 * DAY_S)})
    with pytest.raises(UserError) as caught:
        check_deadlines(policy, Settings())
    assert "'deal' wait for 691200 s, and events are kept for 604800 s" in str(caught.value)
    longer = msgspec.structs.replace(Settings(), bus=BusSettings(stream_age_max_s=30 * DAY_S))
    check_deadlines(policy, longer)


def test_the_deadline_for_all_kinds_counts_too() -> None:
    with pytest.raises(UserError):
        check_deadlines(Policy(version="1", deadline_s=10 * DAY_S), Settings())
