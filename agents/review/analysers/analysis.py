"""What one analyser, or all analysers of a role, say about some files."""

import msgspec

from schemas.review import Hit, NotReviewed, Stage


class Looked(msgspec.Struct, frozen=True):
    """A place where values can do harm, at `line` of `path`, in a function of lines `first` to `last`.

    Attributes:
        is_clear: everything that gets there was understood, and does none.
    """

    path: str
    line: int
    cwe: int
    first: int
    last: int
    is_clear: bool


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of looking at some files.

    Attributes:
        hits: what was found.
        stages: which analysers ran, how long, and which failed (`Stage.error`).
        looked: places that data flow has judged.
        not_reviewed: files that an analyser could not look at, or not wholly, and why.
    """

    hits: tuple[Hit, ...] = ()
    stages: tuple[Stage, ...] = ()
    looked: tuple[Looked, ...] = ()
    not_reviewed: tuple[NotReviewed, ...] = ()
