"""Functions of libraries that need more than a table: what they do with containers, texts, paths and checks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.calls_project import call_function
from agents.review.dataflow.instances import instantiate
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.members import member, of_environment
from agents.review.dataflow.operators import iterated
from agents.review.dataflow.project import ProjectClass, ProjectFunction
from agents.review.dataflow.values import (
    NOTHING,
    NUMBER,
    UNKNOWN,
    Thing,
    Value,
    cleaned,
    constant,
    is_one,
    join_all,
    merge_taints,
    text_constant,
)


@dataclass(frozen=True, slots=True)
class Given:
    """One call of a library: `owner` is what the method belongs to."""

    node: s.Call
    callee: Value
    owner: Value | None
    positional: list[Value]
    named: dict[str, Value]
    path: str

    def argument(self, index: int, *names: str) -> Value:
        """The argument at a position or of a name; `UNKNOWN` if it isn't given."""
        if index < len(self.positional):
            return self.positional[index]
        return next((self.named[name] for name in names if name in self.named), UNKNOWN)

    @property
    def everything(self) -> list[Value]:
        return [*self.positional, *self.named.values()]


Special = Callable[[Machine, Frame, Given], Value]


def taints_of(frame: Frame, values: list[Value]) -> tuple[Any, ...]:
    return merge_taints(*(frame.state.taints(value) for value in values))


def _text(machine: Machine, frame: Frame, call: Given) -> Value:
    """`str(x)` and its like."""
    value = as_text(machine, frame, call.argument(0), call.node.line)
    if is_one(value) and value.constants:
        one = value.constants[0]
        if call.path in ("builtins.str", "builtins.format") and not isinstance(one, bytes):
            return constant(str(one))
        return Value(kind="str")
    return Value(taints=frame.state.taints(value), prefix=value.prefix, kind="str", marks=value.marks)


def as_text(machine: Machine, frame: Frame, value: Value, line: int) -> Value:
    """An instance of the project's class as the text that its `__str__` makes; anything else as it is."""
    results: list[Value] = []
    for number in value.references:
        thing = frame.state.thing(number)
        method = (
            thing.owner.member("__str__")
            if thing is not None and isinstance(thing.owner, ProjectClass)
            else None
        )
        if method is None:
            return value
        one = Value(references=(number,))
        results += [
            call_function(machine, frame, target, [], {}, line)
            for target in member(machine, frame, one, "__str__", line).targets
            if isinstance(target, ProjectFunction)
        ]
    return join_all([*results, Value(taints=value.taints)] if value.taints else results) if results else value


def _collection(kind: str) -> Special:
    def make(machine: Machine, frame: Frame, call: Given) -> Value:
        value = call.argument(0)
        if not call.positional:
            return frame.state.put(Thing(kind, {}, None, 0))
        thing = frame.state.the_thing(value)
        signs = text_constant(value)
        if signs is not None and len(signs) <= _SIGNS_MAX:
            fields: dict[Any, Value] = dict(enumerate(map(constant, signs)))
            return frame.state.put(Thing(kind, fields, None, len(signs)))
        if (
            thing is not None
            and thing.kind != "dict"
            and thing.size is not None
            and len(thing.fields) == thing.size
        ):
            is_same = call.path not in ("builtins.sorted", "builtins.reversed")
            if is_same:
                return frame.state.put(Thing(kind, thing.fields, None, thing.size))
        return frame.state.put(Thing(kind, {}, iterated(frame, value)))

    return make


_SIGNS_MAX: Final = 64
"""Of a text of which a list or a set is made."""


def _queue(machine: Machine, frame: Frame, call: Given) -> Value:
    """A list; how long it may be doesn't matter."""
    kind = "set" if "Lifo" in call.path or "Priority" in call.path else "list"
    return frame.state.put(Thing(kind, {}, None, 0))


def _mapping(machine: Machine, frame: Frame, call: Given) -> Value:
    fields: dict[Any, Value] = {}
    rest: Value | None = None
    for value in call.positional:
        thing = frame.state.the_thing(value)
        if thing is not None and thing.kind == "dict":
            fields |= thing.fields
            rest = thing.rest
        elif value.taints or value.references:
            rest = Value(taints=frame.state.taints(value))
    named = {name: value for name, value in call.named.items() if not name.startswith("*")}
    return frame.state.put(Thing("dict", fields | named, rest))


def _buffer(machine: Machine, frame: Frame, call: Given) -> Value:
    start = call.positional[0] if call.positional else constant("")
    return frame.state.put(Thing("buffer", {"text": start}))


def _config(machine: Machine, frame: Frame, call: Given) -> Value:
    return frame.state.put(Thing("Config", {}))


def call_value(
    machine: Machine,
    frame: Frame,
    value: Value,
    given: list[Value],
    line: int,
    named: Mapping[str, Value] | None = None,
) -> Value:
    """Call whatever function of the project a value is; of its origin if it is none."""
    results = []
    by_name = named or {}
    for target in value.targets:
        if isinstance(target, ProjectFunction):
            results.append(call_function(machine, frame, target, given, by_name, line))
        elif isinstance(target, ProjectClass):
            results.append(instantiate(machine, frame, target, given, by_name, line))
    thing = frame.state.the_thing(value)
    if thing is not None and isinstance(thing.owner, ProjectClass):
        results += [
            call_function(machine, frame, target, given, by_name, line)
            for target in member(machine, frame, value, "__call__", line).targets
            if isinstance(target, ProjectFunction)
        ]
    if results:
        return join_all(results)
    result = Value(taints=taints_of(frame, [*given, *by_name.values()]))
    kinds = machine.tables.cleaners.get(value.kind) if value.kind else []
    return cleaned(result, frozenset().union(*kinds)) if kinds else result


def _map(machine: Machine, frame: Frame, call: Given) -> Value:
    items = [iterated(frame, value) for value in call.positional[1:]]
    inside = call_value(machine, frame, call.argument(0), items, call.node.line)
    return frame.state.put(Thing("list", {}, inside))


def _filter(machine: Machine, frame: Frame, call: Given) -> Value:
    inside = iterated(frame, call.argument(1))
    judged = call_value(machine, frame, call.argument(0), [inside], call.node.line)
    before = frame.state.facts
    frame.state.learn(judged.yes)
    inside = frame.state.seen(inside)
    frame.state.facts = before
    return frame.state.put(Thing("list", {}, inside))


def _zip(machine: Machine, frame: Frame, call: Given) -> Value:
    parts = dict(enumerate(iterated(frame, value) for value in call.positional))
    pair = frame.state.put(Thing("tuple", dict(parts), None, len(parts)))
    return frame.state.put(Thing("list", {}, pair))


def _enumerate(machine: Machine, frame: Frame, call: Given) -> Value:
    pair = frame.state.put(Thing("tuple", {0: NUMBER, 1: iterated(frame, call.argument(0))}, None, 2))
    return frame.state.put(Thing("list", {}, pair))


def _item_of(machine: Machine, frame: Frame, call: Given) -> Value:
    """`next(x)`, `max(x)`, `random.choice(x)`"""
    values = [iterated(frame, value) if value.references else value for value in call.positional]
    return join_all(values)


def _getattr(machine: Machine, frame: Frame, call: Given) -> Value:
    name = text_constant(call.argument(1))
    if name is None:
        return Value(taints=call.argument(0).taints)
    return member(machine, frame, call.argument(0), name, call.node.line)


def _setattr(machine: Machine, frame: Frame, call: Given) -> Value:
    name = text_constant(call.argument(1))
    if name is not None:
        frame.state.set_field(call.argument(0), name, call.argument(2))
    else:
        frame.state.add(call.argument(0), call.argument(2))
    return NOTHING


def _same(machine: Machine, frame: Frame, call: Given) -> Value:
    return call.argument(0)


def _environment(machine: Machine, frame: Frame, call: Given) -> Value:
    """`os.environ.get(name, default)`"""
    name = text_constant(call.argument(0, "key"))
    found = of_environment(frame, name, call.node.line) if name is not None else UNKNOWN
    return join_all([found, *call.positional[1:], *call.named.values()])


def _code(machine: Machine, frame: Frame, call: Given) -> Value:
    """`compile(source, …)`: harmless until it is run."""
    return Value(taints=frame.state.taints(call.argument(0, "source")))


def _later(index: int) -> Special:
    """A function that is handed on together with its arguments: `executor.submit(f, x)`."""

    def run(machine: Machine, frame: Frame, call: Given) -> Value:
        function = call.argument(index, "func", "target", "task")
        named = {name: one for name, one in call.named.items() if name not in ("func", "target", "task")}
        result = call_value(machine, frame, function, call.positional[index + 1 :], call.node.line, named)
        frame.dead = False
        return result

    return run


def _thread(machine: Machine, frame: Frame, call: Given) -> Value:
    given = call.named.get("args", UNKNOWN)
    thing = frame.state.the_thing(given)
    values = [thing.fields[index] for index in sorted(thing.fields)] if thing is not None else []
    keyed = frame.state.the_thing(call.named.get("kwargs", UNKNOWN))
    named = {str(name): one for name, one in keyed.fields.items()} if keyed is not None else {}
    call_value(machine, frame, call.argument(1, "target"), values, call.node.line, named)
    frame.dead = False  # one that never ends is another thread's
    return Value(kind="threading.Thread()")


def _template_text(machine: Machine, frame: Frame, call: Given) -> Value:
    value = call.argument(0, "template")
    text = text_constant(value) or ""
    return Value(taints=value.taints, kind=f"{call.path}()", prefix=text.split("$", 1)[0] or None)


def _substitute(machine: Machine, frame: Frame, call: Given) -> Value:
    owner = call.owner if call.owner is not None else UNKNOWN
    return Value(taints=taints_of(frame, [owner, *call.everything]), kind="str", prefix=owner.prefix)


def _partial(machine: Machine, frame: Frame, call: Given) -> Value:
    """`functools.partial(f, …)`: the function and what it was given already."""
    given = call.positional[1:]
    fields: dict[Any, Value] = (
        dict(enumerate(given)) | dict(call.named) | {"functools.partial()": call.argument(0)}
    )
    return frame.state.put(Thing("functools.partial()", fields, None, len(given)))


SPECIALS: Final[dict[str, Special]] = {
    "functools.partial": _partial,
    "builtins.str.maketrans": _same,
    "builtins.compile": _code,
    "os.environ.get": _environment,
    "os.getenv": _environment,
    "builtins.str": _text,
    "builtins.repr": _text,
    "builtins.bytes": _text,
    "builtins.bytearray": _text,
    "builtins.format": _text,
    "builtins.unicode": _text,
    "builtins.ascii": _text,
    "os.fspath": _text,
    "os.fsdecode": _text,
    "builtins.list": _collection("list"),
    "builtins.tuple": _collection("tuple"),
    "builtins.set": _collection("set"),
    "builtins.frozenset": _collection("set"),
    "builtins.sorted": _collection("list"),
    "builtins.reversed": _collection("list"),
    "builtins.iter": _collection("list"),
    "collections.deque": _collection("list"),
    "queue.Queue": _queue,
    "queue.SimpleQueue": _queue,
    "queue.LifoQueue": _queue,
    "queue.PriorityQueue": _queue,
    "asyncio.Queue": _queue,
    "multiprocessing.Queue": _queue,
    "builtins.dict": _mapping,
    "collections.OrderedDict": _mapping,
    "collections.ChainMap": _mapping,
    "io.StringIO": _buffer,
    "io.BytesIO": _buffer,
    "Config": _config,
    "configparser.ConfigParser": _config,
    "configparser.RawConfigParser": _config,
    "configparser.SafeConfigParser": _config,
    "builtins.map": _map,
    "builtins.filter": _filter,
    "builtins.zip": _zip,
    "builtins.enumerate": _enumerate,
    "builtins.next": _item_of,
    "builtins.max": _item_of,
    "builtins.min": _item_of,
    "builtins.sum": _item_of,
    "builtins.getattr": _getattr,
    "builtins.setattr": _setattr,
    "copy.copy": _same,
    "copy.deepcopy": _same,
    "asyncio.run": _same,
    "asyncio.create_task": _same,
    "asyncio.ensure_future": _same,
    "asyncio.wait_for": _same,
    "asyncio.shield": _same,
    "typing.cast": lambda machine, frame, call: call.argument(1),
    "asyncio.to_thread": _later(0),
    "?.submit": _later(0),
    "?.add_task": _later(0),
    "fastapi.BackgroundTasks.add_task": _later(0),
    "fastapi.BackgroundTasks().add_task": _later(0),
    "fastapi.background.BackgroundTasks.add_task": _later(0),
    "starlette.background.BackgroundTasks.add_task": _later(0),
    "starlette.background.BackgroundTasks().add_task": _later(0),
    "starlette.background.BackgroundTask": _later(0),
    "threading.Timer": _later(1),
    "asyncio.get_event_loop().run_in_executor": _later(1),
    "asyncio.get_running_loop().run_in_executor": _later(1),
    "?.run_in_executor": _later(1),
    "starlette.concurrency.run_in_threadpool": _later(0),
    "fastapi.concurrency.run_in_threadpool": _later(0),
    "anyio.to_thread.run_sync": _later(0),
    "concurrent.futures.ThreadPoolExecutor().submit": _later(0),
    "concurrent.futures.ProcessPoolExecutor().submit": _later(0),
    "threading.Thread": _thread,
    "multiprocessing.Process": _thread,
    "string.Template": _template_text,
    "string.Template().substitute": _substitute,
    "string.Template().safe_substitute": _substitute,
}
