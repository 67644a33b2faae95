"""What negotiations are told by settings: rate cards, and the policy on deals."""

from collections.abc import Mapping
from typing import Final

from agents.negotiator.flow.asking import KIND, DealPolicy
from agents.negotiator.gates import Gates
from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card
from agents.negotiator.platforms.cards import SHIPPED, load_cards
from config.policy import Policy, load_policy
from config.provider_rows import Dollars
from config.settings import Settings
from orchestrator.shell import UserError

UNLIMITED_NUSD: Final = 10**18
"""A billion dollars: what the policy sets no limit to."""


def cards_for(settings: Settings) -> dict[str, Card]:
    """The rate cards in force, by party.

    Raises:
        UserError: one can't be read or contradicts itself.
    """
    own = settings.negotiation.cards
    try:
        return load_cards((SHIPPED,) if own is None else (SHIPPED, own))
    except RefusedError as error:
        raise UserError(str(error)) from None


def policy_for(settings: Settings, env: Mapping[str, str]) -> Policy:
    """The approval policy in force.

    Raises:
        ConfigError: it can't be read or says something that can't be.
    """
    return load_policy(settings.negotiation, env)


def deal_policy(policy: Policy) -> DealPolicy:
    """What the policy says of deals."""
    rule = policy.rule(KIND)
    return DealPolicy(
        version=policy.version,
        gates=Gates(
            deal_nusd=_most(rule.deal_usd_max),
            platform_day_nusd=_most(rule.platform_day_usd_max),
            day_nusd=_most(rule.day_usd_max),
        ),
        ask_always=rule.ask_always,
        ask_above_nusd=None if rule.ask_above_usd is None else rule.ask_above_usd.limit_nusd,
        ask_below_confidence=rule.ask_below_confidence,
        ask_if_new=rule.ask_if_new,
    )


def _most(limit: Dollars | None) -> int:
    return UNLIMITED_NUSD if limit is None else limit.limit_nusd
