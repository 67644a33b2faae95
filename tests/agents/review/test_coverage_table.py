"""The README's table of languages and analysers says what the analysers do."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from agents.review.analysers import analyse
from agents.review.languages import BY_SUFFIX
from agents.review.roles import ROLES

README = Path(__file__).resolve().parents[3] / "README.md"
SOURCES = {"python": "x = 1\n", "vue": "<template><p>a</p></template>\n", "swift": "let x = 1\n"}
SECRETS = "secrets"
ROW = re.compile(
    r"^\| (?!language \|)(?P<languages>[a-z, ]+) \| (?P<analysers>[a-z, -]+) \| (?P<roles>[a-z, ]+) \|$", re.M
)


def promised() -> dict[tuple[str, bool], tuple[frozenset[str], frozenset[str]]]:
    """Analysers and roles of each language, those for secrets (True) apart."""
    table: dict[tuple[str, bool], tuple[frozenset[str], frozenset[str]]] = {}
    programs: list[str] = []
    for row in ROW.finditer(README.read_text(encoding="utf-8").split("## Common tasks")[0]):
        analysers, roles = (frozenset(row[name].split(", ")) for name in ("analysers", "roles"))
        for language in row["languages"].split(", "):
            for one in programs if language == "these" else [language]:
                assert (one, roles == {SECRETS}) not in table
                table[one, roles == {SECRETS}] = (analysers, roles)
            if language != "these":
                programs.append(language)
    return table


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], dict[str, set[str]]]:
    """The analysers that ran on a file of each language, and in which roles."""
    folder = tmp_path_factory.mktemp("languages")
    found: dict[tuple[str, bool], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    first = {language: suffix for suffix, language in reversed(BY_SUFFIX.items())}
    for language, suffix in first.items():
        (folder / f"a{suffix}").write_text(SOURCES.get(language, "var x = 1;\n"))
        for role in ROLES:
            for stage in analyse(role, folder, [f"a{suffix}"]).stages:
                assert not stage.error
                found[language, role == SECRETS][stage.analyser].add(role)
    return found


def test_every_language_is_read_by_the_analysers_that_the_readme_names(
    seen: dict[tuple[str, bool], dict[str, set[str]]],
) -> None:
    table = promised()
    assert set(table) == set(seen)
    for key, by_analyser in seen.items():
        analysers, roles = table[key]
        rules_for_secrets = {"labverse"} if key[1] else set()  # the rules for programs know some, too
        assert set(by_analyser) - rules_for_secrets == analysers, key
        assert set().union(*by_analyser.values()) == roles, key
