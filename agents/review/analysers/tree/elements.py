"""Elements of JSX and of Vue templates: their names and attributes, whichever way they are written."""

from typing import Final

from tree_sitter import Node

from agents.review.analysers.tree.nodes import ancestors_of, text_of

ATTRIBUTES_MAX: Final = 100
ELEMENT_ANCESTORS_MAX: Final = 60
TAGS: Final = frozenset({"jsx_opening_element", "jsx_self_closing_element", "start_tag", "self_closing_tag"})


def has_attribute(tag: Node, names: tuple[str, ...]) -> bool:
    """Whether a tag has one of the attributes. Vue's `:alt` counts as `alt`, `v-on:click` as `@click`."""
    return not _attributes_of(tag)[0].isdisjoint(names)


def is_bare(tag: Node, names: tuple[str, ...]) -> bool:
    """Whether a tag surely has none of the attributes: a spread (`{...props}`, `v-bind="x"`) may bring any."""
    found, has_spread = _attributes_of(tag)
    return not has_spread and found.isdisjoint(names)


def in_element(node: Node, names: tuple[str, ...]) -> bool:
    """Whether one of the elements around `node` has one of these names."""
    for above in ancestors_of(node, ELEMENT_ANCESTORS_MAX):
        if above.type in ("jsx_element", "element"):
            tag = above.named_child(0)
            if tag is not None and tag.named_child_count and text_of(tag.named_children[0]) in names:
                return True
    return False


def _attributes_of(tag: Node) -> tuple[set[str], bool]:
    """Normalised names of a tag's attributes, and whether there is a spread."""
    names: set[str] = set()
    has_spread = False
    for part in tag.named_children[:ATTRIBUTES_MAX]:
        if part.type == "jsx_expression":
            has_spread = True
        elif part.type in ("jsx_attribute", "attribute"):
            first = part.named_child(0)
            if first is not None:
                names.add(text_of(first))
        elif part.type == "directive_attribute":
            name = _directive(text_of(part).partition("=")[0].strip())
            has_spread = has_spread or name == "v-bind"
            names.add(name)
    return names, has_spread


def _directive(name: str) -> str:
    """`:alt`, `v-bind:alt` and `.alt` are `alt`; `@click.stop` and `v-on:click` are `@click`."""
    if name.startswith("v-on:"):
        name = "@" + name.removeprefix("v-on:")
    elif name.startswith(("v-bind:", ":")):
        name = name.partition(":")[2]
    return name.split(".")[0] or name
