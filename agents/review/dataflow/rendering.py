"""Calls that render a template file: what they give to it that comes out unescaped is reported where they are."""

from typing import Final

from agents.review.dataflow.library import Given, Special, taints_of
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.sinks import reach
from agents.review.dataflow.values import (
    UNKNOWN,
    Step,
    Taint,
    Value,
    cleaned,
    join_all,
    text_constant,
    with_step,
)


def _by_names(machine: Machine, frame: Frame, call: Given) -> Value:
    """`render_template("page.html", name=value)`"""
    return _render(
        machine, frame, call, text_constant(call.argument(0, "template_name_or_list")), dict(call.named)
    )


def _by_context(place: int) -> Special:
    """`render(request, "page.html", {"name": value})`, with the template's name at `place`."""

    def render(machine: Machine, frame: Frame, call: Given) -> Value:
        name = text_constant(call.argument(place, "template_name", "name"))
        if name is None:  # newer versions of Starlette take the request first
            place_now = 1 - place
            name = text_constant(call.argument(place_now))
        context = call.argument(place + 1, "context")
        thing = frame.state.the_thing(context)
        given = {str(key): value for key, value in thing.fields.items()} if thing is not None else {}
        if thing is not None and thing.rest is not None:
            given["**"] = thing.rest
        return _render(machine, frame, call, name, given)

    return render


def _render(machine: Machine, frame: Frame, call: Given, name: str | None, given: dict[str, Value]) -> Value:
    for place in (
        machine.pages_of.unescaped(name) if name is not None and machine.pages_of is not None else ()
    ):
        value = given.get(place.name, given.get("**", UNKNOWN))
        if place.is_request:
            step = Step(place.path, place.line, place.shown)
            value = Value(taints=(Taint("remote", f"{place.path}:{place.shown}", frozenset(), step),))
        for part in place.parts if value.references else ():
            value = frame.state.field(value, part) or value
        value = with_step(Value(taints=frame.state.taints(value)), place.path, place.line, place.shown)
        reach(machine, frame, "template.unescaped", {"0": value}, call.node.line, what=f"render of {name}")
    return cleaned(Value(taints=taints_of(frame, [join_all(given.values())])), frozenset({"xss"}))


RENDERING_SPECIALS: Final[dict[str, Special]] = {
    **dict.fromkeys(
        ("flask.render_template", "flask.templating.render_template", "quart.render_template"), _by_names
    ),
    "django.shortcuts.render": _by_context(1),
    "django.template.loader.render_to_string": _by_context(0),
    "django.template.response.TemplateResponse": _by_context(1),
    "starlette.templating.Jinja2Templates().TemplateResponse": _by_context(0),
    "fastapi.templating.Jinja2Templates().TemplateResponse": _by_context(0),
}
