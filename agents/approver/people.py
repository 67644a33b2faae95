"""People, and the identities by which each of them is known."""

from collections.abc import Mapping


class People:
    """Who is who.

    Args:
        people: names with their identities (`slack:U024BE7LH`, `cli:alice`, `key:ops`). Names that share an
            identity are names of one person, who has one vote however many of them are on a list.
    """

    def __init__(self, people: Mapping[str, tuple[str, ...]]) -> None:
        self._parents: dict[str, str] = {}
        self._names = frozenset(people)
        for name, identities in people.items():
            for identity in identities:
                self._parents[self.person(name)] = self.person(identity)

    def person(self, entry: str) -> str:
        """One text for each person, the same for all names and identities; strangers are their own."""
        while (parent := self._parents.get(entry, entry)) != entry:
            entry = parent
        return entry

    def are_same(self, entry: str, other: str) -> bool:
        return entry == other or self.person(entry) == self.person(other)

    def knows(self, entry: str) -> bool:
        """Whether somebody can be meant by it: a name that is listed, or any identity."""
        return entry in self._names or is_identity(entry)


def is_identity(text: str) -> bool:
    """Whether `text` is a way and who one is there, such as `cli:alice`; a bare name proves nothing."""
    way, colon, who = text.partition(":")
    return bool(way and colon and who)
