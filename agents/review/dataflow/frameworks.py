"""Functions of parsers, templates and regular expressions that keep settings or checks in what they return."""

from typing import Any, Final

from agents.review.dataflow.checks import facts_about
from agents.review.dataflow.conditions import CONTENT_TYPE, RESOLVES
from agents.review.dataflow.library import Given, Special, taints_of
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.pages import places_in
from agents.review.dataflow.regexes import is_whole, kinds_held_off, removed_by
from agents.review.dataflow.sinks import reach, weak_call
from agents.review.dataflow.texts import split_text
from agents.review.dataflow.values import (
    FALSE,
    NO_FACTS,
    NOTHING,
    TRUE,
    UNKNOWN,
    Thing,
    Value,
    changed,
    cleaned,
    constant,
    merge_taints,
    text_constant,
    truth,
)

PATTERN: Final = "pattern:"
"""Begins the mark of a compiled regular expression; its text follows."""
ESCAPES: Final = "escapes"
"""Mark of a template whose values are escaped."""
PLAIN: Final = "escapes nothing"
"""Mark of an environment that was made without escaping, and of its templates for pages."""
_PAGE_ENDINGS: Final = (".html", ".htm", ".xhtml", ".svg", ".html.j2", ".html.jinja", ".html.jinja2")
_EXTERNAL: Final = (
    "external-general-entities",
    "external-parameter-entities",
    "feature_external_ges",
    "feature_external_pes",
)


def _compile(machine: Machine, frame: Frame, call: Given) -> Value:
    pattern = text_constant(call.argument(0, "pattern"))
    marks = frozenset({PATTERN + pattern}) if pattern is not None else frozenset()
    return Value(kind="re.compile()", marks=marks)


def _match(machine: Machine, frame: Frame, call: Given) -> Value:
    """`re.fullmatch(pattern, text)`, or the method of a compiled pattern."""
    method = call.path.rsplit(".", 1)[-1]
    pattern, subject = _pattern(call)
    if pattern is None or not is_whole(pattern, method):
        return Value(taints=frame.state.taints(subject))
    kinds = kinds_held_off(pattern)
    value = cleaned(Value(taints=frame.state.taints(subject)), kinds)
    return changed(value, yes=facts_about(frame, subject, kinds) if kinds else NO_FACTS)


def _pattern(call: Given) -> tuple[str | None, Value]:
    """The text of a pattern, and what it is applied to."""
    owner = call.owner
    if call.path.startswith("re.compile()"):
        marks = owner.marks if owner is not None else frozenset()
        text = next((mark[len(PATTERN) :] for mark in marks if mark.startswith(PATTERN)), None)
        return text, call.argument(0, "string")
    first = call.argument(0, "pattern")
    text = next((mark[len(PATTERN) :] for mark in first.marks if mark.startswith(PATTERN)), None)
    return text if text is not None else text_constant(first), call.argument(1, "string")


def _substitute(machine: Machine, frame: Frame, call: Given) -> Value:
    """`re.sub`: what is left of the text, and what is put in."""
    is_method = call.path.startswith("re.compile()")
    replacement = call.argument(0 if is_method else 1, "repl")
    subject = call.argument(1 if is_method else 2, "string")
    pattern = text_constant(call.argument(0)) if not is_method else _pattern(call)[0]
    value = Value(taints=taints_of(frame, [subject, replacement]), kind="str")
    held_off = removed_by(pattern) if pattern is not None else None
    return cleaned(value, held_off) if held_off and text_constant(replacement) is not None else value


def _sax_parser(machine: Machine, frame: Frame, call: Given) -> Value:
    return frame.state.put(Thing("xml.sax.make_parser()", {RESOLVES: FALSE}))


def _set_feature(machine: Machine, frame: Frame, call: Given) -> Value:
    feature, setting = call.argument(0), call.argument(1)
    name = text_constant(feature) or feature.kind
    if call.owner is not None and name.endswith(_EXTERNAL) and frame.state.the_thing(call.owner) is not None:
        frame.state.set_field(call.owner, RESOLVES, FALSE if truth(setting) is False else TRUE)
    return NOTHING


def _lxml_parser(machine: Machine, frame: Frame, call: Given) -> Value:
    """Resolves entities unless it is told not to; `"internal"` resolves only those of the document itself."""
    stated = call.named.get("resolve_entities")
    resolves = stated is None or (truth(stated) is not False and text_constant(stated) != "internal")
    return frame.state.put(Thing("lxml.etree.XMLParser()", {RESOLVES: constant(resolves)}))


def _html_parser(machine: Machine, frame: Frame, call: Given) -> Value:
    return frame.state.put(Thing("lxml.etree.HTMLParser()", {RESOLVES: FALSE}))


def _yaml_parser(machine: Machine, frame: Frame, call: Given) -> Value:
    return frame.state.put(Thing("ruamel.yaml.YAML()", {"typ": call.argument(0, "typ")}))


def _environment(machine: Machine, frame: Frame, call: Given) -> Value:
    """Escapes only if it is told to."""
    stated = call.named.get("autoescape")
    escapes = stated is not None and truth(stated) is not False
    return Value(kind="JinjaEnvironment", marks=frozenset({ESCAPES if escapes else PLAIN}))


def _template(machine: Machine, frame: Frame, call: Given) -> Value:
    """A template of an environment, or one made from its text, which escapes nothing."""
    marks = (
        call.owner.marks if call.owner is not None and call.owner.kind == "JinjaEnvironment" else frozenset()
    )
    stated = call.named.get("autoescape")
    if stated is not None and truth(stated) is True:
        marks = marks | {ESCAPES}
    name = text_constant(call.argument(0, "name")) or ""
    if call.path.endswith(".from_string") or not name.endswith(_PAGE_ENDINGS):
        marks = marks - {PLAIN}
    return Value(kind="JinjaTemplate", marks=marks)


def _render(machine: Machine, frame: Frame, call: Given) -> Value:
    value = Value(taints=taints_of(frame, call.everything), kind="str")
    marks = call.owner.marks if call.owner is not None else frozenset()
    if PLAIN in marks and value.taints:  # told here, so not again where the page is sent
        reach(machine, frame, "template.unescaped", {"0": value}, call.node.line, what="render")
    return cleaned(value, frozenset({"xss"})) if marks & {ESCAPES, PLAIN} else value


def _render_string(machine: Machine, frame: Frame, call: Given) -> Value:
    """Flask escapes what is put into a template, unless the template says that it is safe."""
    source = call.argument(0, "source")
    given = [*call.positional[1:], *call.named.values()]
    text = text_constant(source) or ""
    raw = {place.name for place in places_in("", text)}
    unescaped = taints_of(frame, [value for name, value in call.named.items() if name in raw or "*" in name])
    escaped = cleaned(Value(taints=taints_of(frame, given)), frozenset({"xss"}))
    taints = merge_taints(unescaped, escaped.taints) if raw else escaped.taints
    return Value(taints=taints, kind="str")


def _send_header(machine: Machine, frame: Frame, call: Given) -> Value:
    name = text_constant(call.argument(0))
    if name is not None and name.lower() == "content-type" and call.owner is not None:
        frame.state.set_field(call.owner, CONTENT_TYPE, call.argument(1))
    elif name is not None and name.lower() == "set-cookie" and len(call.positional) > 1:
        given = {"0": call.positional[1]}
        if text_constant(given["0"]) is not None or "cookie:plain" in given["0"].marks:
            weak_call(
                machine, frame, "header.set-cookie", given, call.node.line, call.node.line, what="cookie"
            )
    return NOTHING


def _nothing(machine: Machine, frame: Frame, call: Given) -> Value:
    return UNKNOWN


def _methods(path: str, special: Special, *names: str) -> dict[str, Special]:
    return {f"{path}.{name}": special for name in names}


def _split_words(machine: Machine, frame: Frame, call: Given) -> Value:
    return split_text(frame, call.argument(0, "s"))


FRAMEWORK_SPECIALS: Final[dict[str, Any]] = {
    "shlex.split": _split_words,
    "re.compile": _compile,
    **_methods("re", _match, "match", "fullmatch", "search"),
    **_methods("re.compile()", _match, "match", "fullmatch", "search"),
    "re.sub": _substitute,
    "re.compile().sub": _substitute,
    "xml.sax.make_parser": _sax_parser,
    "xml.sax.expatreader.create_parser": _sax_parser,
    "xml.sax.expatreader.ExpatParser": _sax_parser,
    "xml.sax.make_parser().setFeature": _set_feature,
    "lxml.etree.XMLParser": _lxml_parser,
    "lxml.etree.ETCompatXMLParser": _lxml_parser,
    "lxml.etree.HTMLParser": _html_parser,
    "lxml.html.HTMLParser": _html_parser,
    "ruamel.yaml.YAML": _yaml_parser,
    "JinjaEnvironment": _environment,
    "JinjaTemplate": _template,
    "JinjaEnvironment.from_string": _template,
    "JinjaEnvironment.get_template": _template,
    "JinjaTemplate.render": _render,
    "flask.render_template_string": _render_string,
    "flask.templating.render_template_string": _render_string,
    "HttpHandler.send_header": _send_header,
    "?.isoformat": _nothing,
}
