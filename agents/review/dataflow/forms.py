"""What forms and serializers make of a request: fields of numbers, dates and choices are harmless, texts are not."""

from typing import Any, Final

from agents.review.dataflow.machine import Frame
from agents.review.dataflow.project import ProjectClass
from agents.review.dataflow.values import UNKNOWN, Step, Taint, Thing, Value, changed

CHECKED: Final = frozenset({"cleaned_data", "validated_data", "data"})
_BASES: Final = ("django.forms.", "rest_framework.serializers.", "flask_wtf.", "wtforms.")
_ENDS: Final = ("Form", "FormSet", "Serializer")
_FILES: Final = frozenset({"FileField", "ImageField", "MultipleFileField"})
_HARMLESS: Final = frozenset(
    {
        "IntegerField",
        "FloatField",
        "DecimalField",
        "BooleanField",
        "NullBooleanField",
        "DateField",
        "DateTimeField",
        "TimeField",
        "DurationField",
        "UUIDField",
        "ChoiceField",
        "TypedChoiceField",
        "MultipleChoiceField",
        "ModelChoiceField",
        "ModelMultipleChoiceField",
        "GenericIPAddressField",
        "IPAddressField",
        "SlugField",
        "SelectField",
        "RadioField",
        "SelectMultipleField",
        "IntegerRangeField",
        "DecimalRangeField",
        "PrimaryKeyRelatedField",
    }
)


def checked_data(frame: Frame, owner: ProjectClass, name: str, line: int) -> Value | None:
    """`form.cleaned_data`: a dictionary by the fields of the form's class; None if it isn't the class of a form."""
    bases = owner.library_bases()
    if name not in CHECKED or not any(base.startswith(_BASES) and base.endswith(_ENDS) for base in bases):
        return None
    token = f"{owner.module.path}:{owner.syntax.line}.{name}"
    step = Step(frame.path, line, f"{owner.syntax.name}.{name}")
    fields: dict[Any, Value] = {}
    for one in reversed(owner.lineage()):
        for key, value in one.names.items():
            kind = value.kind.removesuffix("()").rsplit(".", 1)[-1]
            if value.kind.endswith("()") and kind in _HARMLESS:
                fields[key] = UNKNOWN
            elif kind in _FILES:
                fields[key] = changed(_outside(f"{token}[{key!r}]", step), kind="WebRequest.FILES[]")
            elif value.kind == "FormField" or (value.kind.endswith("()") and kind.endswith("Field")):
                fields[key] = _outside(f"{token}[{key!r}]", step)
    return frame.state.put(Thing("dict", fields, _outside(token, step)))


def _outside(token: str, step: Step) -> Value:
    return Value(taints=(Taint("remote", token, frozenset(), step),))
