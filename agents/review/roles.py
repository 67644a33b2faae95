"""The roles in which code is reviewed: what each looks for, with which analysers, in which languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agents.review.languages import CODE, language_of
from agents.review.models.roles import model_roles

_PAGES: Final = frozenset({"javascript", "typescript", "tsx", "vue", "dart"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One point of view.

    Attributes:
        name: as people ask for it with `--roles`.
        focus: one sentence for people, and for a model that reviews in this role.
        analysers: names of `agents.review.analysers`, in the order in which they run.
        languages: languages it applies to; None means every text that is reviewed.
    """

    name: str
    title: str
    focus: str
    analysers: tuple[str, ...]
    languages: frozenset[str] | None = CODE

    def applies(self, path: str) -> bool:
        """Whether the role has anything to say about a file of this name."""
        language = language_of(path)
        return bool(language) and (self.languages is None or language in self.languages)


_ALL: Final = (
    Role(
        name="security",
        title="Security",
        focus="Injection, unsafe deserialisation, weak cryptography, broken transport security and access.",
        analysers=("bandit", "ruff", "labverse", "web", "labverse-flow"),
    ),
    Role(
        name="secrets",
        title="Secrets",
        focus="Passwords, keys and tokens that stand in the code or in settings.",
        analysers=("detect-secrets", "secrets", "labverse"),
        languages=None,
    ),
    Role(
        name="quality",
        title="Code quality",
        focus="Code that does not do what it says: undefined names, swallowed errors, shared mutable defaults.",
        analysers=("ruff", "labverse"),
    ),
    Role(
        name="performance",
        title="Performance",
        focus="Blocking calls in asynchronous code, work repeated in loops, needless copies.",
        analysers=("ruff", "labverse"),
    ),
    Role(
        name="testing",
        title="Testing",
        focus="Tests that can't fail, are focused or left out by mistake.",
        analysers=("ruff", "labverse"),
    ),
    Role(
        name="accessibility",
        title="Accessibility",
        focus="Pages that people who use a keyboard or a screen reader can't use.",
        analysers=("labverse",),
        languages=_PAGES,
    ),
)

ROLES: Final[dict[str, Role]] = {role.name: role for role in _ALL}


def pick_roles(wanted: Sequence[str]) -> tuple[Role, ...]:
    """The roles of these names, all for none, in the order of `ROLES`.

    A role for models brings those that it belongs to.

    Raises:
        ValueError: there is no role of a name.
    """
    for_models = model_roles()
    unknown = sorted(set(wanted) - set(ROLES) - set(for_models))
    if unknown:
        others = ", ".join(name for name in for_models if name not in ROLES)
        raise ValueError(
            f"no role {', '.join(map(repr, unknown))}: there are {', '.join(ROLES)}, and for models {others}"
        )
    names = set(wanted)
    for name in wanted:
        if name not in ROLES:
            names.update(for_models[name].tags)
    return tuple(role for role in _ALL if not wanted or role.name in names)
