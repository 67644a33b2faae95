"""Who may do what: handlers without the check that their siblings have, objects of others, forged requests.

Nothing here is reported of a project that asks nobody who they are: then there is nothing to compare with.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from agents.review.analysers.web.handlers import CHANGING, Handler, writes
from agents.review.analysers.web.rules import Found
from agents.review.analysers.web.shapes import (
    argument,
    called,
    from_request,
    function_name,
    is_request,
    says,
)
from agents.review.analysers.web.source import Source, walk
from agents.review.dataflow import syntax as s
from schemas.review import Severity

PROTECTED_MIN: Final = 2
"""Handlers that ask who is calling, for one that doesn't to look forgotten."""
SHARE_MIN: Final = 0.4
"""Of the handlers with something to protect; below it the project seems open on purpose."""
SHARE_READ_MIN: Final = 0.6
REPORTED_MAX: Final = 15
"""Of one project; if more handlers lack a check, that is how it is meant."""

_WHO = re.compile(
    r"(?i)^(?:current_?user\w*|user_?id|owner\w*|author\w*|identity|get_jwt_identity|g|created_by|member_?id|account_?id|customer_?id|user|users|me|is_owner|username|tenant\w*|organi[sz]ation\w*|check_object_permissions|get_queryset|has_\w*perm\w*|can_\w+)$"
)
_OWNER_FIELD: Final = re.compile(
    r"(?i)^(?:user|owner|author|account|customer|created_by|creator|member|uploader|seller|buyer)(?:_?id)?$"
)
_STAFF = re.compile(r"(?i)admin|staff|superuser|permission|role|manager|moderator|editor")
_ONE = frozenset(
    {
        "get",
        "get_or_404",
        "first",
        "first_or_404",
        "one",
        "one_or_none",
        "get_object_or_404",
        "filter_by",
        "filter",
        "find_one",
        "get_object",
        "get_or_none",
    }
)
_WEBHOOK = re.compile(
    r"(?i)hook|callback|ipn|notif|stripe|paypal|slack|github|twilio|sns|saml|graphql|api|token|oauth|oidc|scim|payload|json|rpc|soap"
    r"|opds|dav|sync|introspect|revoke|device|federat|activitypub|inbox|xml"
)
_CSRF = re.compile(r"(?i)csrf|FlaskForm|SeaSurf|flask_wtf|xsrf|samesite")


def find_missing_checks(handlers: Sequence[Handler], sources: Sequence[Source]) -> Iterator[Found]:
    """Handlers that ask nobody, among siblings that do."""
    served = [one for one in handlers if not one.source.is_test and not one.source.is_aside]
    served = [
        one
        for one in served
        if not (one.owner is not None and one.framework == "django" and not _is_plain_view(one.owner))
    ]
    if not served or _guarded_as_a_whole(sources):
        return
    worth = [
        one for one in served if one.is_guarded or (not one.is_open and (one.is_changing or _by_id(one)))
    ]
    groups: dict[str, list[Handler]] = defaultdict(list)
    for one in worth:
        groups[one.source.path].append(one)
    share_of_all = _share(worth)
    found: list[Found] = []
    for one in worth:
        if one.is_guarded or one.is_open:
            continue
        siblings = groups[one.source.path]
        group = siblings if sum(other.is_guarded for other in siblings) >= PROTECTED_MIN else worth
        share = _share(group) if group is siblings else share_of_all
        if sum(other.is_guarded for other in group) < PROTECTED_MIN:
            continue
        least = SHARE_MIN if one.is_changing else SHARE_READ_MIN
        if share < least and not _is_admin(one):
            continue
        confidence = 0.45 + 0.25 * share if one.is_changing else 0.35 + 0.2 * share
        protected = sum(other.is_guarded for other in group)
        found.append(
            Found(
                rule="web-missing-authorisation",
                path=one.source.path,
                line=one.function.line,
                confidence=round(min(confidence + (0.1 if _is_admin(one) else 0), 0.75), 2),
                severity=Severity.HIGH if one.is_changing else Severity.MEDIUM,
                note=f"{one.name} asks nobody who they are; {protected} of {len(group)} handlers around it do.",
            )
        )
    if len(found) <= REPORTED_MAX:
        yield from found


def _is_plain_view(owner: s.Class) -> bool:
    """Whether a class says itself what it answers, rather than a class of the project or framework that it extends."""
    return all(called(base) in ("View", "APIView", "MethodView", "Resource") for base in owner.bases)


def _share(group: Sequence[Handler]) -> float:
    return sum(one.is_guarded for one in group) / len(group) if group else 0.0


def _is_admin(handler: Handler) -> bool:
    return re.search(r"(?i)admin", f"{handler.name} {handler.rule}") is not None


def _by_id(handler: Handler) -> bool:
    """Whether it answers with one object that the client chose."""
    return re.search(r"<[^>]*id\w*>|\{[^}]*id\w*\}|<int:", handler.rule) is not None and says(
        re.compile(r"^(?:query|get_or_404|execute|objects|session|find_one|get_object_or_404|scalar)$"),
        handler.function.body,
    )


def _guarded_as_a_whole(sources: Sequence[Source]) -> bool:
    """Whether something that runs before every handler asks who is calling."""
    from agents.review.analysers.web.handlers import GUARD, IN_BODY

    for source in sources:
        if source.is_test:
            continue
        for function, _ in source.all(s.Function):
            for decorator in function.decorators:
                if function_name(decorator) in ("before_request", "before_app_request", "middleware") and (
                    says(IN_BODY, function.body) or says(re.compile(r"^(?:session|user)$"), function.body)
                ):
                    return True
        for call, _ in source.all(s.Call):
            name = function_name(call)
            if (
                name in ("APIRouter", "FastAPI", "include_router")
                and argument(call, None, "dependencies") is not None
            ):
                return True
            if name == "add_middleware" and GUARD.search(called(argument(call, 0, "middleware_class"))):
                return True
            if name == "before_request" and call.arguments and GUARD.search(called(call.arguments[0].value)):
                return True
        for const, _ in source.all(s.Const):
            if isinstance(const.value, str) and const.value.endswith(
                (
                    "LoginRequiredMiddleware",
                    "permissions.IsAuthenticated",
                    "permissions.DjangoModelPermissions",
                )
            ):
                return True
    return False


def find_foreign_objects(handlers: Sequence[Handler], classes: Mapping[str, s.Class]) -> Iterator[Found]:
    """Objects that belong to somebody, fetched by an id of the client and handed to whoever is logged in."""
    owned = {name for name, owner in classes.items() if _has_owner(owner)}
    filtered = _filtered_by_user(handlers)
    for handler in handlers:
        if handler.source.is_test or handler.source.is_aside or not handler.is_guarded:
            continue
        function = handler.function
        if any(_STAFF.search(word) for one in function.decorators for word in _names(one)):
            continue
        if handler.owner is not None and any(_STAFF.search(called(base)) for base in handler.owner.bases):
            continue
        known = from_request(function) | {
            one.name for one in function.parameters if one.name not in ("self", "request")
        }
        if says(_WHO, _without_login(function)) or says(_STAFF, function.body, texts=True):
            continue
        for node in walk(*function.body):
            model = _fetched(node, known)
            if model in owned and (writes(function) or model in filtered):
                yield Found(
                    rule="web-foreign-object", path=handler.source.path, line=node.line,
                    confidence=0.6 if model in filtered else 0.5,
                    note=f"{handler.name} takes the {model} that the client names, whoever it belongs to.",
                )  # fmt: skip
                break


def _names(node: s.Node) -> Iterator[str]:
    for part in walk(node):
        if isinstance(part, s.Name | s.Attribute):
            yield part.name
        elif isinstance(part, s.Const) and isinstance(part.value, str):
            yield part.value


def _without_login(function: s.Function) -> list[s.Stmt]:
    return function.body


def _has_owner(owner: s.Class) -> bool:
    return any(
        isinstance(node, s.Assign)
        and node.value is not None
        and any(_OWNER_FIELD.match(called(target)) for target in node.targets)
        and any(
            isinstance(part, s.Call)
            and function_name(part)
            in (
                "Column",
                "ForeignKey",
                "mapped_column",
                "relationship",
                "OneToOneField",
                "ForeignKeyField",
                "Field",
            )
            for part in walk(node.value)
        )
        for node in owner.body
    )


def _filtered_by_user(handlers: Sequence[Handler]) -> frozenset[str]:
    """Models that some handler asks for with the one who is logged in."""
    found: set[str] = set()
    who = re.compile(r"^(?:current_user|get_jwt_identity|identity|user_id|user|owner)$")
    for handler in handlers:
        for node in walk(*handler.function.body):
            if (
                isinstance(node, s.Call)
                and function_name(node) in _ONE | {"all"}
                and any(says(who, [one]) for one in node.arguments)
            ):
                found |= {
                    part.name for part in walk(node) if isinstance(part, s.Name) and part.name[:1].isupper()
                }
    return frozenset(found)


def _fetched(node: s.Node, known: frozenset[str]) -> str:
    """The model of which one object is fetched by an id that the client gave; empty if it is no such call."""
    if not isinstance(node, s.Call) or function_name(node) not in _ONE or len(node.arguments) > 3:
        return ""
    named = [one for one in node.arguments if one.name]
    if any(one.name not in ("id", "pk", "uuid", "description") for one in named):
        return ""
    by_id = any(_is_given(one.value, known) for one in node.arguments)
    models = [part.name for part in walk(node) if isinstance(part, s.Name) and part.name[:1].isupper()]
    return models[0] if by_id and models else ""


def _is_given(value: s.Expr, known: frozenset[str]) -> bool:
    return any(isinstance(part, s.Name) and part.name in known for part in walk(value)) or is_request(value)


def find_forgeable(handlers: Sequence[Handler], sources: Sequence[Source]) -> Iterator[Found]:
    """Handlers that other sites can make a browser call: exempted ones, and Flask applications without any check."""
    for handler in handlers:
        if handler.source.is_test or handler.source.is_aside:
            continue
        function = handler.function
        exempt = [
            one
            for one in (*function.decorators, *(handler.owner.decorators if handler.owner else ()))
            if _exempts(one)
        ]
        if exempt and not _is_for_machines(handler) and (handler.methods & CHANGING or writes(function)):
            yield Found(
                rule="web-csrf-off",
                path=handler.source.path,
                line=exempt[0].line,
                confidence=0.55,
                severity=Severity.MEDIUM,
                note=f"{handler.name} is exempted.",
            )
    forms = [
        one
        for one in handlers
        if one.framework == "flask" and one.methods & CHANGING and _reads_form(one) and not one.source.is_test
    ]
    served = [one for one in sources if not one.is_test]
    if not forms or any(
        _CSRF.search(word) for one in served for word in (*one.names, *one.names.values(), *one.modules)
    ):
        return
    if not any(one.uses("flask_login") or "flask.session" in one.names.values() for one in served):
        return
    for source in served:
        for call, _ in source.all(s.Call):
            if source.path_of(call.function) in ("flask.Flask", "Flask") and not source.is_aside:
                yield Found(
                    rule="web-csrf-none",
                    path=source.path,
                    line=call.line,
                    note=f"{len(forms)} handlers read forms, such as {forms[0].name} in {forms[0].source.path}.",
                )
                return


def _exempts(decorator: s.Expr) -> bool:
    if function_name(decorator) in ("csrf_exempt", "exempt"):
        return True
    return (
        isinstance(decorator, s.Call)
        and function_name(decorator) == "method_decorator"
        and any(called(one.value) == "csrf_exempt" for one in decorator.arguments)
    )


def _is_for_machines(handler: Handler) -> bool:
    """Whether it is called by other servers, which bring a token or a signature instead of cookies."""
    if _WEBHOOK.search(
        f"{handler.name} {handler.rule} {handler.owner.name if handler.owner else ''}"
    ) or handler.source.uses("rest_framework"):
        return True
    if any(
        re.search(
            r"(?i)api_view|authentication_classes|token|jwt|key|(?<!login_)auth|hmac|sign", function_name(one)
        )
        for one in handler.function.decorators
    ):
        return True
    return says(
        re.compile(r"(?i)signature|hmac|authorization|api_?key|HTTP_X|jwt|verify_token|compare_digest"),
        handler.function.body,
        texts=True,
    )


def _reads_form(handler: Handler) -> bool:
    return any(
        isinstance(node, s.Attribute)
        and node.name in ("form", "files", "values")
        and called(node.owner) == "request"
        for node in walk(*handler.function.body)
    )


def find_races(handlers: Sequence[Handler]) -> Iterator[Found]:
    """A balance is compared, then lowered, with nothing that keeps others out in between."""
    money = re.compile(r"(?i)balance|credit|stock|quantity|inventory|points|funds|seats|available|tickets")
    held = re.compile(
        r"(?i)select_for_update|with_for_update|lock|atomic|^F$|transaction|mutex|semaphore|begin|serializable|begin_nested"
    )
    for handler in handlers:
        if handler.source.is_test or says(held, [*handler.function.body, *handler.function.decorators]):
            continue
        checked = {
            called(side)
            for node in walk(*handler.function.body)
            if isinstance(node, s.Compare) and set(node.operators) & {"<", ">", "<=", ">="}
            for side in (node.left, *node.rights)
            if isinstance(side, s.Attribute)
        }
        for node in walk(*handler.function.body):
            if (
                isinstance(node, s.Augment)
                and node.operator == "-"
                and isinstance(node.target, s.Attribute)
                and node.target.name in checked
                and money.search(node.target.name)
            ):
                yield Found(rule="web-race", path=handler.source.path, line=node.line)
                break
