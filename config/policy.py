"""The approval policy: who approves what, and the limits on deals.

Nobody's file is taken from the current folder: it could name a stranger as approver.
"""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from config.errors import ConfigError, did_you_mean, shown
from config.provider_rows import Dollars
from config.settings import DAY_S, NegotiationSettings, configured_file
from config.typed_yaml import decode, line_of
from config.yaml_file import read_text
from config.yaml_lines import Node, parse_nodes

SHIPPED_FILE: Final = Path(__file__).with_name("approval_policy.yaml")
OWNER: Final = "owner"
PEOPLE_MAX: Final = 500
APPROVERS_MAX: Final = 50
WAYS: Final = ("slack", "cli", "key")

Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
Identity = Annotated[str, Meta(pattern=r"^(slack|cli|key):[^\s:,]{1,100}$")]
Approvers = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(max_length=APPROVERS_MAX)
]
Quorum = Annotated[int, Meta(ge=1, le=APPROVERS_MAX)]
Seconds = Annotated[float, Meta(ge=1, le=31 * DAY_S)]
WarnSeconds = Annotated[float, Meta(ge=0, le=31 * DAY_S)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for one kind of side effect; None: as for all kinds, or no such limit.

    Attributes:
        ask_above_usd, ask_below_confidence, ask_if_new, ask_always: when people are asked at all.
        deal_usd_max, platform_day_usd_max, day_usd_max: what deals may cost at most; a day is one of UTC.
    """

    approvers: Approvers | None = None
    quorum: Quorum | None = None
    deadline_s: Seconds | None = None
    warn_before_s: WarnSeconds | None = None
    ask_always: bool = False
    ask_above_usd: Dollars | None = None
    ask_below_confidence: Share | None = None
    ask_if_new: bool = False
    deal_usd_max: Dollars | None = None
    platform_day_usd_max: Dollars | None = None
    day_usd_max: Dollars | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. `people`: by name, how somebody is known."""

    version: Annotated[str, Meta(min_length=1, max_length=64)]
    people: Annotated[dict[Name, tuple[Identity, ...]], Meta(max_length=PEOPLE_MAX)] = {}
    approvers: Approvers = ()
    quorum: Quorum = 1
    deadline_s: Seconds = DAY_S
    warn_before_s: WarnSeconds = 3600.0
    rules: Annotated[dict[Name, Rule], Meta(max_length=100)] = {}

    def rule(self, kind: str) -> Rule:
        """What holds for `kind`, whole: with what is said for all kinds where it says nothing."""
        own = self.rules.get(kind, Rule())
        return msgspec.structs.replace(
            own,
            approvers=self.approvers if own.approvers is None else own.approvers,
            quorum=self.quorum if own.quorum is None else own.quorum,
            deadline_s=self.deadline_s if own.deadline_s is None else own.deadline_s,
            warn_before_s=self.warn_before_s if own.warn_before_s is None else own.warn_before_s,
        )

    @property
    def known(self) -> dict[str, tuple[str, ...]]:
        """`people`, and the owner."""
        return {OWNER: (f"cli:{user()}",), **self.people}


def user() -> str:
    """The name of the user that this process belongs to, whatever the environment claims."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return f"uid-{os.getuid()}"


def load_policy(settings: NegotiationSettings, env: Mapping[str, str]) -> Policy:
    """`negotiation.policy_file`, else approval_policy.yaml of the configuration folder, else the one that ships.

    Raises:
        ConfigError: the file can't be read or says something that can't be; one line.
    """
    path = settings.policy_file or configured_file(SHIPPED_FILE.name, env) or SHIPPED_FILE
    node = parse_nodes(path, read_text(path))
    policy = decode(path, node, Policy)
    if path != SHIPPED_FILE:
        policy = _with_shipped_rules(path, node, policy)
    _check_approvers(path, node, policy, ("approvers",), policy.approvers)
    for name, rule in policy.rules.items():
        _check_approvers(path, node, policy, ("rules", name, "approvers"), rule.approvers or ())
        whole = policy.rule(name)
        assert whole.quorum is not None
        if whole.approvers and whole.quorum > len(set(whole.approvers)):
            line = line_of(node, ("rules", name, "quorum"))
            raise ConfigError(
                f"`rules.{name}` in {path} line {line}: a quorum of {whole.quorum} with {len(set(whole.approvers))} "
                "approvers can never be reached; name more of them, or ask for fewer"
            )
    return policy


def _with_shipped_rules(path: Path, node: Node, policy: Policy) -> Policy:
    """`policy`, with the rules that ship for kinds of which it says nothing: a limit isn't lifted by leaving it out.

    Raises:
        ConfigError: a kind is as good as one that ships, misspelt.
    """
    shipped = decode(SHIPPED_FILE, parse_nodes(SHIPPED_FILE, read_text(SHIPPED_FILE)), Policy).rules
    for name in policy.rules:
        if name not in shipped and (hint := did_you_mean(name, shipped)):
            raise ConfigError(
                f"`rules.{name}` in {path} line {line_of(node, ('rules', name))}: unknown kind{hint}"
            )
    return msgspec.structs.replace(policy, rules={**shipped, **policy.rules})


def _check_approvers(
    path: Path, node: Node, policy: Policy, steps: tuple[str, ...], approvers: tuple[str, ...]
) -> None:
    for number, one in enumerate(approvers):
        way, colon, rest = one.partition(":")
        if colon and way in WAYS and rest:
            continue
        if one not in policy.known:
            line = line_of(node, (*steps, number))
            raise ConfigError(
                f"`{'.'.join(steps)}` in {path} line {line}: nobody under `people` is called `{shown(one)}`; add them, "
                "or name an identity such as slack:U024BE7LH, cli:alice or key:ops"
            )
