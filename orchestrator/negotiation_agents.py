"""The agents of negotiations and approvals, put together from settings. Imported when one of them is to run."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from agents.approver import Approver, Terms
from agents.negotiator import switch
from agents.negotiator.flow.called_off import CalledOff
from agents.negotiator.flow.closing import Closer
from agents.negotiator.flow.known import Known, deals_bucket
from agents.negotiator.flow.opening import Negotiator
from agents.negotiator.flow.table import Table
from agents.negotiator.platforms.agent import PlatformAgent
from bus import Bus, Subscription
from bus.complete import BusComplete
from config.policy import Policy
from config.settings import Settings
from orchestrator.chores import start
from orchestrator.dealing import cards_for, deal_policy, policy_for
from orchestrator.shell import UserError

DEADLINE_SHARE_MAX: Final = 0.9
"""Of the age at which the stream forgets events."""

Run = Callable[[Subscription], Awaitable[None]]


async def run_negotiator(bus: Bus, settings: Settings, run: Run) -> "asyncio.Task[None]":
    """Openings, tables, closings and the memory of deals; returns the chore that warms the solver up.

    Raises:
        ConfigError: the policy can't be read.
        UserError: a rate card can't be.
    """
    cards, policy = cards_for(settings), deal_policy(policy_for(settings, os.environ))
    await deals_bucket(bus).ensure()
    await switch.ensure(bus)
    table = Table(bus=bus, policy=policy, cards=cards)
    await run(Negotiator(cards=cards).subscription())
    await run(table.subscription())
    await run(Closer(bus=bus, policy=policy).subscription())
    await run(Known(bus=bus).subscription())
    await run(CalledOff(bus=bus).subscription())
    return start(table.warm_later(), "warm the solver up")


async def run_platforms(bus: Bus, settings: Settings, run: Run) -> None:
    """Whoever speaks for the platforms that have a card, and for ourselves.

    Raises:
        UserError: a rate card can't be read.
    """
    await run(PlatformAgent(cards=cards_for(settings), complete=BusComplete(bus)).subscription())


async def run_approver(bus: Bus, settings: Settings, run: Run, stack: AsyncExitStack) -> None:
    """Who lets people decide.

    Raises:
        ConfigError: the policy can't be read.
    """
    policy = policy_for(settings, os.environ)
    check_deadlines(policy, settings)
    approver = Approver(bus=bus, people=policy.known, policy=lambda kind: terms_of(policy, kind))
    await stack.enter_async_context(approver.serving())
    await run(approver.subscription())


def check_deadlines(policy: Policy, settings: Settings) -> None:
    """Refuse approvals that would wait longer than the stream keeps what they are about.

    Raises:
        UserError: a kind's deadline is too late.
    """
    most_s = settings.bus.stream_age_max_s * DEADLINE_SHARE_MAX
    for kind in (*policy.rules, "other"):
        deadline_s = policy.rule(kind).deadline_s or 0.0
        if deadline_s > most_s:
            raise UserError(
                f"the policy lets approvals of {kind!r} wait for {deadline_s:g} s, and events are kept for "
                f"{settings.bus.stream_age_max_s:g} s: set deadline_s to {most_s:g} at most, "
                "or raise bus.stream_age_max_s"
            )


def terms_of(policy: Policy, kind: str) -> Terms:
    """On what terms people decide about side effects of a kind."""
    rule = policy.rule(kind)
    assert rule.approvers is not None
    assert rule.quorum is not None
    assert rule.deadline_s is not None
    assert rule.warn_before_s is not None
    return Terms(
        approvers=rule.approvers,
        quorum=rule.quorum,
        deadline_s=rule.deadline_s,
        warn_before_s=rule.warn_before_s,
        policy_version=policy.version,
    )


async def run_messenger(bus: Bus, settings: Settings, stack: AsyncExitStack) -> None:
    """Who shows people in Slack what waits for them.

    Raises:
        UserError: token or address can't be used.
    """
    from agents.messenger import Messenger
    from bus import PermanentError
    from orchestrator.slack.chat import SlackChat
    from orchestrator.slack.client import SlackClient

    try:
        chat = SlackChat(SlackClient(settings.slack.bot_token, settings.slack.api_url))
    except PermanentError as error:
        raise UserError(str(error)) from None
    stack.push_async_callback(chat.close)
    messenger = Messenger(bus=bus, chat=chat, channel=settings.slack.channel)
    await messenger.prepare()
    # With its own patience: Slack may be away for longer than an event is otherwise tried.
    await bus.run(messenger.subscription())
