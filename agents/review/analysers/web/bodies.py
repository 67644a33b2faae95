"""What goes in and out of handlers: whole requests into objects, errors and passwords into answers, files onto disk."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from agents.review.analysers.web.handlers import Handler
from agents.review.analysers.web.passwords import PASSWORD
from agents.review.analysers.web.rules import Found
from agents.review.analysers.web.shapes import (
    argument,
    called,
    from_request,
    function_name,
    is_request,
    says,
    text_of,
)
from agents.review.analysers.web.source import Source, walk
from agents.review.dataflow import syntax as s
from schemas.review import Severity

_PRIVILEGED: Final = re.compile(
    r"(?i)^(?:is_)?(?:admin|staff|superuser)$|^(?:role|roles|permissions|user_permissions|balance|credit|user_type)$|password"
)
_ANSWERS: Final = frozenset(
    {
        "jsonify",
        "Response",
        "make_response",
        "HttpResponse",
        "JsonResponse",
        "HTMLResponse",
        "JSONResponse",
        "PlainTextResponse",
        "render_template_string",
        "HttpResponseServerError",
        "HttpResponseBadRequest",
        "HTTPException",
        "abort",
        "render",
        "render_template",
    }
)
_CATCHES_ALL = re.compile(
    r"except\s*:|except\s+\(?[^:]*\b(?:Exception|BaseException|SQLAlchemyError|DatabaseError|OperationalError|IntegrityError|ProgrammingError"
    r"|OSError|IOError|sqlite3\.Error|Error|PyMongoError|PsycopgError|psycopg2\.Error)\b(?=[\s,):])"
)
"""Errors whose texts nobody chose for clients to read."""
PLACES_TOLD: Final = 8
PLACES_MAX: Final = 3
"""Of one file that are told one by one."""
_CHECKS_NAME = re.compile(
    r"(?i)allowed|extension|splitext|mimetype|content_type|endswith|suffix|imghdr|magic|verify|is_image|validate|whitelist|uuid|FileAllowed|file_type|filetype|\.ext|get_valid|check_file|secrets|token_hex"
)
_GENERATED_EXTENSION = re.compile(r"(?i)png|jpe?g|pdf|csv|image/")


def find_in_handlers(
    handlers: Sequence[Handler], classes: Mapping[str, s.Class], functions: Mapping[str, s.Function]
) -> Iterator[Found]:
    yield from _errors(handlers)
    for handler in handlers:
        if handler.source.is_test or handler.source.is_aside:
            continue
        yield from _mass(handler, classes)
        yield from _uploads(handler, functions)
        yield from _passwords_out(handler.source, handler.function)


def find_in_source(source: Source, classes: Mapping[str, s.Class]) -> Iterator[Found]:
    """What classes bring: serialisers with all fields, models that tell their password."""
    if source.is_test or source.is_aside:
        return
    for owner, scope in source.all(s.Class):
        if owner.name == "Meta":
            yield from _all_fields(source, owner, scope.owner, classes)
    for function, scope in source.all(s.Function):
        if scope.owner is not None and re.match(
            r"(?i)(?:to_?(?:dict|json)|as_dict|serialize\w*|json\w*|__json__|get_json)$", function.name
        ):
            yield from _passwords_out(source, function)


def _errors(handlers: Sequence[Handler]) -> Iterator[Found]:
    """The text of an exception, or a traceback, in what is answered; of a file where all handlers do it, once."""
    by_path: dict[str, list[Found]] = {}
    for handler in handlers:
        if handler.source.is_test or handler.source.is_aside:
            continue
        for node in walk(*handler.function.body):
            for caught in node.handlers if isinstance(node, s.Try) else ():
                by_path.setdefault(handler.source.path, []).extend(_told(handler, caught))
    for found in by_path.values():
        if len(found) <= PLACES_MAX:
            yield from found
        else:
            lines = ", ".join(str(one.line) for one in found[1:PLACES_TOLD])
            yield msgspec.structs.replace(found[0], note=f"{found[0].note} Also in lines {lines}.".strip())


def _told(handler: Handler, caught: s.Handler) -> Iterator[Found]:
    for node in walk(*caught.body):
        given: list[s.Expr] = []
        if isinstance(node, s.Return) and node.value is not None and _is_answer(node.value):
            given = [node.value]
        elif isinstance(node, s.Call) and function_name(node) in _ANSWERS:
            given = [one.value for one in node.arguments]
        elif isinstance(node, s.Raise):
            given = [
                one for one in node.values if re.search(r"(?i)http|abort|APIException", function_name(one))
            ]
        for value in given:
            if _is_trace(value):
                yield Found(
                    rule="web-error-told",
                    path=handler.source.path,
                    line=node.line,
                    confidence=0.8,
                    note="The whole traceback is sent.",
                )
                return
            if (
                caught.name
                and _holds_error(value, caught.name)
                and _CATCHES_ALL.search(handler.source.line(caught.line))
            ):
                yield Found(rule="web-error-told", path=handler.source.path, line=node.line)
                return


def _is_answer(value: s.Expr) -> bool:
    """Whether what is returned goes to the client, and not through another function."""
    if isinstance(value, s.Sequence) and value.items:
        return _is_answer(value.items[0])
    return not isinstance(value, s.Call) or function_name(value) in _ANSWERS | {
        "str",
        "repr",
        "dict",
        "format",
        "dumps",
        "format_exc",
    }


def _is_trace(value: s.Expr) -> bool:
    return any(
        isinstance(part, s.Call)
        and function_name(part) in ("format_exc", "format_exception", "print_exc", "format_tb")
        for part in walk(value)
    )


def _holds_error(value: s.Expr, name: str) -> bool:
    """Whether the text of the exception `name` is put in: `str(e)`, `f"{e}"`, `"…" % e`."""
    for part in walk(value):
        match part:
            case s.Call(function=s.Name(name="str" | "repr"), arguments=[first]) if _is(first.value, name):
                return True
            case s.Text(parts=parts) if any(
                _is(inner, name) or (isinstance(inner, s.Text) and any(_is(one, name) for one in inner.parts))
                for inner in parts
            ):
                return True
            case s.Binary(operands=operands) if any(_is(one, name) for one in operands):
                return True
            case s.Call(function=s.Attribute(name="format"), arguments=arguments) if any(
                _is(one.value, name) for one in arguments
            ):
                return True
    return False


def _is(node: s.Expr, name: str) -> bool:
    return isinstance(node, s.Name) and node.name == name


def _mass(handler: Handler, classes: Mapping[str, s.Class]) -> Iterator[Found]:
    """Whole requests that become objects: `User(**request.json)`, `setattr(user, key, value)` over what was sent."""
    known = from_request(handler.function)
    for node in walk(*handler.function.body):
        if isinstance(node, s.Call):
            name = function_name(node)
            is_update = name in ("update", "values", "filter_by", "create", "insert_one")
            if name == "filter_by":
                continue
            for one in node.arguments:
                if (
                    one.stars == 2
                    and _is_whole(one.value, known)
                    and ((name in classes and _is_table(classes[name])) or is_update)
                ):
                    yield Found(rule="web-mass-assignment", path=handler.source.path, line=node.line)
                elif name == "insert_one" and not one.stars and _is_whole(one.value, known):
                    yield Found(
                        rule="web-mass-assignment", path=handler.source.path, line=node.line, confidence=0.5
                    )
            if (
                name == "update"
                and isinstance(node.function, s.Attribute)
                and called(node.function.owner) == "__dict__"
                and any(_is_whole(one.value, known) for one in node.arguments)
            ):
                yield Found(rule="web-mass-assignment", path=handler.source.path, line=node.line)
        elif isinstance(node, s.For) and is_request(node.source, known):
            if isinstance(node.source, s.Sequence):
                continue
            for call in walk(*node.body):
                if isinstance(call, s.Call) and function_name(call) == "setattr" and not _is_listed(node):
                    yield Found(rule="web-mass-assignment", path=handler.source.path, line=call.line)
                    break


def _is_whole(value: s.Expr, known: frozenset[str]) -> bool:
    """Whether it is all that was sent, and not one item of it."""
    match value:
        case s.Name(name=name):
            return name in known
        case s.Call(function=s.Attribute(name="get_json" | "to_dict" | "dict" | "json")):
            return is_request(value, known)
        case s.Attribute(name="json" | "form" | "data" | "POST" | "values"):
            return is_request(value, frozenset())
        case s.Await(value=inner):
            return _is_whole(inner, known)
    return False


def _is_table(owner: s.Class) -> bool:
    return any(
        re.search(r"Model$|^Base$|Document$|Entity", called(base) or function_name(base))
        and called(base) != "BaseModel"
        for base in owner.bases
    )


def _is_listed(loop: s.For) -> bool:
    """Whether keys are compared with a list of allowed ones."""
    return any(
        isinstance(node, s.Compare) and set(node.operators) & {"in", "not in"} for node in walk(*loop.body)
    )


def _all_fields(
    source: Source, meta: s.Class, owner: s.Class | None, classes: Mapping[str, s.Class]
) -> Iterator[Found]:
    """`fields = "__all__"` of a form or serialiser, if the model has a field that no client should set."""
    if owner is None or source.path.endswith("admin.py"):
        return
    bases = [called(base) for base in owner.bases]
    if not any("ModelForm" in base or "Serializer" in base for base in bases):
        return
    fields = next(
        (
            node
            for node in meta.body
            if isinstance(node, s.Assign) and node.targets and called(node.targets[0]) == "fields"
        ),
        None,
    )
    model = next(
        (
            called(node.value)
            for node in meta.body
            if isinstance(node, s.Assign) and node.value is not None and called(node.targets[0]) == "model"
        ),
        "",
    )
    if fields is None or text_of(fields.value) != "__all__":
        return
    table = classes.get(model)
    privileged = [
        called(target)
        for node in (table.body if table is not None else ())
        if isinstance(node, s.Assign)
        for target in node.targets
        if _PRIVILEGED.search(called(target))
    ]
    if privileged or model in ("User", "get_user_model"):
        yield Found(
            rule="web-mass-assignment", path=source.path, line=fields.line, confidence=0.55, severity=Severity.MEDIUM,
            note=f"All fields of {model} can be set, {', '.join(privileged[:3]) or 'is_superuser'} among them.",
        )  # fmt: skip


def _uploads(handler: Handler, functions: Mapping[str, s.Function]) -> Iterator[Found]:
    """Files that are kept under the name, or at least the extension, that the client gave them."""
    function = handler.function
    if says(_CHECKS_NAME, function.body, texts=True) or not says(
        re.compile(r"^(?:files|FILES|UploadFile|file|filename)$"), [*function.body, *function.parameters]
    ):
        return
    if any(
        says(_CHECKS_NAME, functions[name].body, texts=True)
        for node in walk(*function.body)
        if isinstance(node, s.Call) and (name := function_name(node)) in functions
    ):
        return
    names = {part.name for part in walk(*function.body) if isinstance(part, s.Name | s.Attribute)}
    if "filename" not in names and not (handler.framework == "django" and "FILES" in names):
        return
    for node in walk(*function.body):
        if not isinstance(node, s.Call):
            continue
        name = function_name(node)
        is_kept = (
            name == "save"
            and bool(node.arguments)
            and says(re.compile(r"file|path|name", re.I), [one.value for one in node.arguments])
            and re.search(
                r"(?i)file|upload|image|photo|avatar|^f$|picture|attachment|document",
                called(node.function.owner) if isinstance(node.function, s.Attribute) else "",
            )
        )
        mode = text_of(argument(node, 1, "mode")) or ""
        is_opened = (
            name == "open"
            and "w" in mode
            and "b" in mode
            and says(
                re.compile(r"filename|file_path|filepath|save_path|path|dest|^name$"),
                [argument(node, 0, "file")],
            )
        )
        if is_kept or is_opened:
            yield Found(rule="web-upload", path=handler.source.path, line=node.line)
            return


def _passwords_out(source: Source, function: s.Function) -> Iterator[Found]:
    """`{"password": user.password}` in what is answered."""
    for node in walk(*function.body):
        value = node.value if isinstance(node, s.Return) else None
        if isinstance(node, s.Call) and function_name(node) in ("jsonify", "JsonResponse", "JSONResponse"):
            value = node
        if isinstance(node, s.Call) and function_name(node) == "append":
            value = node
        for part in walk(value) if value is not None else ():
            if isinstance(part, s.Mapping):
                for key, given in part.pairs:
                    title = text_of(key) or ""
                    if (
                        (PASSWORD.search(title) or title in ("password_hash", "hashed_password"))
                        and isinstance(given, s.Attribute | s.Index)
                        and re.search(r"(?i)passw|pwd", called(given))
                        and not is_request(given, from_request(function))
                    ):
                        yield Found(rule="web-password-shown", path=source.path, line=given.line)
                        return
