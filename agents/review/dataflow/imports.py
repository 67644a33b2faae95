"""What an import gives to names: a module of the project, one of its names, or a path of a library."""

from agents.review.dataflow import syntax as s
from agents.review.dataflow.calls_project import run_module
from agents.review.dataflow.machine import SHARED, Machine
from agents.review.dataflow.members import SHARED_PATHS
from agents.review.dataflow.project import Module, namespace
from agents.review.dataflow.values import Value


def import_names(machine: Machine, importer: Module, node: s.Import) -> dict[str, Value]:
    """Names and their values; modules of the project that are imported run first."""
    if not node.name:
        return _whole(machine, importer, node)
    dotted = machine.project.resolve(node.module, node.level, importer)
    module = machine.project.find(dotted, importer) if dotted else None
    if module is importer:
        module = None
    if node.name == "*":
        if module is None:
            return {}
        run_module(machine, module)
        return {name: value for name, value in module.names.items() if not name.startswith("_")}
    alias = node.alias or node.name
    if module is not None:
        run_module(machine, module)
        value = module.names.get(node.name)
        if value is not None:
            return {alias: value}
    inner = machine.project.find(f"{dotted}.{node.name}" if dotted else node.name, importer)
    if inner is not None and (module is not None or node.level or machine.project.is_folder(dotted)):
        run_module(machine, inner)
        return {alias: Value(targets=(inner,))}
    if module is not None or node.level:
        return {alias: Value()}
    return {alias: library(machine, f"{dotted}.{node.name}")}


def library(machine: Machine, path: str) -> Value:
    """Something of a library, from outside if the tables say so (`from sys import argv`)."""
    if path in SHARED_PATHS:
        return Value(kind=path, references=(SHARED,))
    return Value(kind=machine.tables.canonical(path))


def _whole(machine: Machine, importer: Module, node: s.Import) -> dict[str, Value]:
    """`import a.b` gives `a`, of which `b` is an attribute; `import a.b as c` gives `a.b`."""
    module = machine.project.find(node.module, importer)
    if module is importer:
        module = None
    if module is not None:
        run_module(machine, module)
    if node.alias:
        return {node.alias: Value(targets=(module,)) if module is not None else library(machine, node.module)}
    first = node.module.split(".", 1)[0]
    top = machine.project.find(first, importer)
    if top is not None and top is not importer and (module is not None or first == node.module):
        return {first: Value(targets=(top,))}
    if module is not None:
        return {first: Value(targets=(namespace(module.dotted, first),))}
    return {first: library(machine, first)}
