"""What one analyser, or all analysers of a role, say about some files."""

import msgspec

from schemas.review import Hit, NotReviewed, Stage


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of looking at some files.

    Attributes:
        hits: what was found.
        stages: which analysers ran, how long, and which failed (`Stage.error`).
        not_reviewed: files that an analyser could not look at, or not wholly, and why.
    """

    hits: tuple[Hit, ...] = ()
    stages: tuple[Stage, ...] = ()
    not_reviewed: tuple[NotReviewed, ...] = ()
