"""The files of a project as modules, and which of them an import means."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from agents.review.dataflow.syntax import Class, Expr, Function, Import, Stmt
from agents.review.dataflow.values import Value

SUFFIX_PARTS_MAX: Final = 6
"""How many leading folders of a path may be missing in imports (`src/app/db.py` imported as `app.db` or `db`)."""
SOURCE_ROOTS: Final = (["src"], ["lib"], ["source"], ["python"])
"""Folders from which imports start, wherever the importing file is."""
BASES_MAX: Final = 12


@dataclass(eq=False, slots=True)
class Module:
    """One file.

    Attributes:
        names: what its top level gave to its names, once it has run.
        body: None until the file is read.
        status: `new`, `running` or `done`.
    """

    path: str
    dotted: str
    is_package: bool
    body: list[Stmt] | None = None
    names: dict[str, Value] = field(default_factory=dict)
    status: str = "new"


def namespace(dotted: str, last: str) -> Module:
    """A folder without `__init__.py` on the way to module `dotted`, up to its part `last`."""
    parts = dotted.split(".")
    end = parts.index(last) + 1 if last in parts else 1
    name = ".".join(parts[:end])
    return Module(f"{name}/", name, True, [], {}, "done")


@dataclass(eq=False, slots=True)
class ProjectClass:
    """A class of the project. `bases` are values: of project classes, or of a library's paths."""

    syntax: Class
    module: Module
    names: dict[str, Value]
    bases: list[Value]
    annotations: dict[str, str]
    is_data: bool = False
    patterns: dict[str, frozenset[str]] = field(default_factory=dict)
    """Kinds of flaw that the pattern of a model's field keeps out."""
    heirs: list["ProjectClass"] = field(default_factory=list)
    """Classes of the project that inherit from it directly."""

    def lineage(self) -> list["ProjectClass"]:
        """The class and those that it inherits from, nearest first."""
        if not self.bases:
            return [self]
        found: list[ProjectClass] = [self]
        for known in found:
            for base in known.bases:
                found += [one for one in base.targets if isinstance(one, ProjectClass) and one not in found]
            if len(found) >= BASES_MAX:
                break
        return found

    def library_bases(self) -> list[str]:
        """Paths of the library's classes that it inherits from."""
        return [base.kind for one in self.lineage() for base in one.bases if base.kind]

    def member(self, name: str) -> Value | None:
        """What the class or one that it inherits from gives to a name."""
        for one in self.lineage():
            if name in one.names:
                return one.names[name]
        return None


@dataclass(frozen=True, slots=True)
class ProjectFunction:
    """A function of the project, or a method that is bound to `receiver`.

    Attributes:
        closure: the names around it when it was made; None at the top of a module.
        how: `static`, `class` or `property` for methods with that decorator.
    """

    syntax: Function
    module: Module
    closure: Mapping[str, Value] | None = None
    owner: ProjectClass | None = None
    receiver: Value | None = None
    how: str = ""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ProjectFunction)
            and other.syntax is self.syntax
            and other.receiver == self.receiver
        )

    def __hash__(self) -> int:
        return id(self.syntax)


@dataclass(frozen=True, eq=False, slots=True)
class ProjectAlias:
    """`Name = Annotated[…]`: a type that annotations mean by its name, with what is said of it."""

    node: Expr
    module: Module


class Project:
    """All files that can be imported."""

    def __init__(self, read: Callable[[str], list[Stmt]]) -> None:
        self.read = read
        """Parses the file of a path; an empty list if that can't be done."""
        self.modules: dict[str, Module] = {}
        """By path."""
        self._by_name: dict[str, list[Module]] = {}

    def add(self, path: str) -> Module:
        """Make a file known; it is read when it is needed."""
        parts = list(PurePosixPath(path).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        if is_package:
            parts = parts[:-1]
        module = Module(path, ".".join(parts), is_package)
        self.modules[path] = module
        for missing in range(min(len(parts), SUFFIX_PARTS_MAX + 1)):
            self._by_name.setdefault(".".join(parts[missing:]), []).append(module)
        return module

    def body(self, module: Module) -> list[Stmt]:
        """The statements of a file, read once."""
        if module.body is None:
            module.body = []
            module.body = self.read(module.path)
        return module.body

    def find(self, dotted: str, importer: Module) -> Module | None:
        """The module that an absolute import means: of several, the one nearest to the importing file."""
        own = importer.dotted.split(".")
        wanted = dotted.count(".") + 1
        is_standard = dotted.split(".", 1)[0] in sys.stdlib_module_names

        def shared(module: Module) -> tuple[int, int]:
            parts = module.dotted.split(".")
            count = next((i for i, (a, b) in enumerate(zip(parts, own, strict=False)) if a != b), len(own))
            return count, -len(parts)

        def is_visible(module: Module) -> bool:
            parts = module.dotted.split(".")
            root = parts[: len(parts) - wanted]
            return not root or (not is_standard and (own[: len(root)] == root or root in SOURCE_ROOTS))

        candidates = [module for module in self._by_name.get(dotted, ()) if is_visible(module)]
        return max(candidates, key=shared) if candidates else None

    def is_folder(self, dotted: str) -> bool:
        """Whether there are modules below this name."""
        return any(name.startswith(dotted + ".") for name in self._by_name)

    def in_order(self) -> list[Module]:
        """All modules that are read and what they import at their top, imported ones first where that is possible."""
        done: dict[str, Module] = {}
        begun: set[str] = set()
        stack = [(module, False) for module in reversed(self.modules.values()) if module.body is not None]
        while stack:
            module, is_left = stack.pop()
            if is_left:
                done.setdefault(module.path, module)
            elif module.path not in begun:
                begun.add(module.path)
                stack.append((module, True))
                stack += [(one, False) for one in self._imported(module) if one.path not in begun]
        return list(done.values())

    def _imported(self, importer: Module) -> list[Module]:
        found: list[Module] = []
        for node in self.body(importer):
            if isinstance(node, Import):
                dotted = self.resolve(node.module, node.level, importer)
                for name in (dotted, f"{dotted}.{node.name}"):
                    module = self.find(name, importer)
                    if module is not None:
                        found.append(module)
        return found

    def resolve(self, module: str, level: int, importer: Module) -> str:
        """The absolute dotted name of a relative import."""
        if not level:
            return module
        parts = importer.dotted.split(".") if importer.dotted else []
        up = level - 1 if importer.is_package else level
        parts = parts[: len(parts) - up] if up <= len(parts) else []
        return ".".join([*parts, module] if module else parts)
