"""Which parameters of functions are given by URL patterns, and of which types."""

import re
from typing import Final

from agents.review.dataflow.library import Given, Special
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import ProjectClass, ProjectFunction
from agents.review.dataflow.values import UNKNOWN, Value, text_constant

SAFE_CONVERTERS: Final = frozenset({"int", "float", "uuid", "any", "bool"})
PATTERN_CHARS_MAX: Final = 500

_ANGLE = re.compile(r"<(?:(?P<converter>\w+)(?:\([^()<>]*\))?:)?(?P<name>\w+)>")
_GROUP = re.compile(r"\(\?P<(?P<name>\w+)>(?P<pattern>[^()]*)\)")
_BRACE = re.compile(r"\{(?P<name>\w+)(?::(?P<converter>\w+))?\}")
_DIGITS = re.compile(r"^(?:\\d|\[0-9\])(?:[+*]|\{[\d,]*\})?$")


def parameters_in(pattern: str) -> dict[str, str]:
    """Names in a URL pattern and their converters, `str` if none is said: `/<int:id>`, `/{id}`, `(?P<id>\\d+)`."""
    pattern = pattern[:PATTERN_CHARS_MAX]
    found = {
        match["name"]: "int" if _DIGITS.match(match["pattern"]) else "str"
        for match in _GROUP.finditer(pattern)
    }
    for expression in (_ANGLE, _BRACE):
        for match in expression.finditer(pattern):
            found.setdefault(match["name"], match["converter"] or "str")
    return found


def _note(machine: Machine, view: Value, parameters: dict[str, str]) -> None:
    for target in view.targets:
        if isinstance(target, ProjectFunction):
            machine.routes.setdefault(id(target.syntax), {}).update(parameters)
        elif isinstance(target, ProjectClass):
            for member in target.names.values():
                _note(
                    machine,
                    Value(targets=tuple(one for one in member.targets if isinstance(one, ProjectFunction))),
                    parameters,
                )


def _django_path(machine: Machine, frame: Frame, call: Given) -> Value:
    """`path("<int:id>/", views.show)`"""
    pattern = text_constant(call.argument(0, "route", "regex"))
    if pattern is not None:
        _note(machine, call.argument(1, "view"), parameters_in(pattern))
    return UNKNOWN


def _as_view(machine: Machine, frame: Frame, call: Given) -> Value:
    """`View.as_view()` is the class, as far as URL patterns go."""
    return call.owner if call.owner is not None else UNKNOWN


def _add_rule(machine: Machine, frame: Frame, call: Given) -> Value:
    """`app.add_url_rule("/<id>", "show", show)`"""
    pattern = text_constant(call.argument(0, "rule"))
    if pattern is not None:
        _note(machine, call.argument(2, "view_func"), parameters_in(pattern))
    return UNKNOWN


ROUTE_SPECIALS: Final[dict[str, Special]] = {
    "django.urls.path": _django_path,
    "django.urls.re_path": _django_path,
    "django.conf.urls.url": _django_path,
    "FlaskApp.add_url_rule": _add_rule,
    "DjangoView.as_view": _as_view,
    "?.as_view": _as_view,
    "flask.views.MethodView.as_view": _as_view,
}
