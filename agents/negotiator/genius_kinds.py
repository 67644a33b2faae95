"""What a Genius document is: a domain or a profile, of which kind, and which profile speaks of which domain."""

from typing import Final

from agents.negotiator.xml_tree import Node

OTHER_KINDS: Final = ("nonlinear", "constraint")
OTHER_TAGS: Final = ("ufun", "hyperRectangle", "ranks", "constraints")
"""Of profiles that are no weighted sums."""


def is_domain(root: Node) -> bool:
    """Whether a document says only what is negotiated."""
    return bool(root.every("issue")) and not is_profile(root)


def is_profile(root: Node) -> bool:
    """Whether a document says what an agent wants."""
    return bool(root.every("weight")) or not is_linear(root) or _says_worth(root)


def is_linear(root: Node) -> bool:
    """Whether a document's utilities, if any, are weighted sums over issues."""
    kind = root.attributes.get("type", "").strip().lower()
    return kind not in OTHER_KINDS and not any(root.every(tag) for tag in OTHER_TAGS)


def is_blank(root: Node) -> bool:
    """Whether a document is a form that was never filled in: it says of nothing what it is worth."""
    return is_linear(root) and not _says_worth(root)


def is_uncertain(root: Node) -> bool:
    """Whether a profile is for agents that are told only the order of some outcomes; often a copy of a plain one."""
    return root.attributes.get("type", "").strip().lower() == "uncertain"


def _says_worth(root: Node) -> bool:
    # Only right below an issue: in old domains, similarity functions deeper down have evaluations, too.
    return any(
        child.tag == "evaluator"
        or (child.tag == "item" and child.attributes.get("evaluation", "null") != "null")
        for issue in root.every("issue")
        for child in issue.children
    )


def fits(profile: Node, domain: Node) -> bool:
    """Whether a profile speaks of the issues that `domain` states, and of no others."""
    stated, said = domain.every("issue"), profile.every("issue")
    return len(stated) == len(said) and all(
        counterpart(number_of(node), name_of(node), values_of(node), said) is not None for node in stated
    )


def is_named_alike(profile: Node, domain: Node) -> bool:
    """Whether a profile calls the issues as `domain` does."""
    return {name_of(node) for node in profile.every("issue")} == {
        name_of(node) for node in domain.every("issue")
    }


def counterpart(number: str, name: str, values: set[str], said: list[Node]) -> Node | None:
    """The issue of a profile that a domain knows by this number and name.

    As in Genius the number decides, if the name agrees or the profile's issue has the values; else the name does.

    Args:
        values: folded; of an issue without a list of values, none.
        said: the profile's issues.
    """
    named = [node for node in said if name_of(node) == folded(name)]
    same = [node for node in said if number_of(node) == number]
    agreeing = [node for node in same if name_of(node) == folded(name)]
    if named:
        having = [node for node in same if values <= values_of(node)]
    else:
        having = [node for node in same if not values or values & values_of(node)]
    return next(iter((agreeing or having or named)[-1:]), None)


def name_of(issue: Node) -> str:
    """Folded."""
    return folded(issue.attributes.get("name", ""))


def number_of(issue: Node) -> str:
    return issue.attributes.get("index", "").strip()


def values_of(issue: Node) -> set[str]:
    """Folded; of an issue without a list of values, none."""
    return {folded(value_of(item)) for item in issue.children_of("item")}


def value_of(item: Node) -> str:
    return item.attributes.get("value", item.attributes.get("index", ""))


def folded(text: str) -> str:
    """Without differences of case and white space."""
    return " ".join(text.split()).casefold()
