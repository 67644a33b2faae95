"""The analyser of our own rules, on sources as they come."""

import importlib.resources
import random
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from agents.review.analysers.analysis import Analysis
from agents.review.analysers.tree import TreeSitter, engine
from agents.review.analysers.tree.languages import GRAMMARS
from agents.review.analysers.tree.rules import load_rules, queries_for

EVAL = "eval(code);\n"


def look(folder: Path, sources: Mapping[str, str | bytes], role: str = "security") -> Analysis:
    for path, source in sources.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(source if isinstance(source, bytes) else source.encode())
    return TreeSitter().run(role, folder, list(sources))


def places(analysis: Analysis) -> list[tuple[str, int]]:
    return [(hit.rule, hit.line) for hit in analysis.hits]


def test_a_hit_says_what_where_and_what_to_do(tmp_path: Path) -> None:
    (hit,) = look(tmp_path, {"src/a b.ts": "\nconst x = 1;\n  eval(code);\n"}).hits
    assert (hit.analyser, hit.rule, hit.path) == ("labverse", "LV-JS-005", "src/a b.ts")
    assert (hit.line, hit.end_line, hit.column) == (3, 3, 7)
    assert hit.code == "  eval(code);"
    assert hit.cwe == 95
    assert hit.title
    assert hit.description
    assert hit.fix


def test_a_stage_counts_the_files_whose_language_has_rules(tmp_path: Path) -> None:
    analysis = look(tmp_path, {"a.js": EVAL, "b.txt": EVAL, "c.swift": "let a = 1\n"})
    (stage,) = analysis.stages
    assert (stage.analyser, stage.files, stage.error) == ("labverse", 2, "")
    assert f"{len(load_rules())}rules" in stage.version


def test_nothing_to_look_at_is_no_stage(tmp_path: Path) -> None:
    assert look(tmp_path, {"a.py": "print(1)\n"}, role="accessibility") == Analysis()


def test_the_role_decides_which_rules_run(tmp_path: Path) -> None:
    source = {"a.js": "eval(code);\ntry { f(); } catch (e) {}\n"}
    assert places(look(tmp_path, source, "security")) == [("LV-JS-005", 1)]
    assert places(look(tmp_path, source, "quality")) == [("LV-JS-201", 2)]


@pytest.mark.parametrize("lang", ["", ' lang="ts"', " setup lang='tsx'"])
def test_the_script_of_a_vue_file_has_the_lines_of_the_file(tmp_path: Path, lang: str) -> None:
    source = (
        f"<template>\n  <p v-html='x' />\n</template>\n\n<script{lang}>\nconst a = 1\neval(code)\n</script>\n"
    )
    assert places(look(tmp_path, {"a.vue": source})) == [("LV-UI-001", 2), ("LV-JS-005", 7)]


def test_both_scripts_of_a_vue_file_are_looked_at(tmp_path: Path) -> None:
    source = (
        "<script>\neval(a)\n</script>\n<script setup lang='ts'>\nlet b = f() as string\neval(b)\n</script>\n"
    )
    assert places(look(tmp_path, {"a.vue": source})) == [("LV-JS-005", 2), ("LV-JS-005", 6)]


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    source = b"\xef\xbb\xbfconst a = 1;\r\n\r\neval(code);\r\n"
    (hit,) = look(tmp_path, {"a.js": source}).hits
    assert (hit.line, hit.code) == (3, "eval(code);")


def test_utf_16_is_read(tmp_path: Path) -> None:
    assert places(look(tmp_path, {"a.js": ("\n" + EVAL).encode("utf-16")})) == [("LV-JS-005", 2)]


def test_bytes_that_are_not_utf_8_do_not_hide_what_follows(tmp_path: Path) -> None:
    assert places(look(tmp_path, {"a.js": b"const a = '\xff\xfe\xe9';\neval(code);\n"})) == [("LV-JS-005", 2)]


def test_a_syntax_error_does_not_hide_the_rest(tmp_path: Path) -> None:
    analysis = look(tmp_path, {"a.js": "const a = {;\nfunction f() { return 1 }\n) )\neval(code);\n"})
    assert ("LV-JS-005", 4) in places(analysis)
    assert analysis.not_reviewed == ()


@pytest.mark.parametrize("path", ["a.js", "a.ts", "a.vue", "a.swift", "a.dart"])
def test_an_empty_file_is_reviewed_and_has_no_hits(tmp_path: Path, path: str) -> None:
    analysis = look(tmp_path, {path: ""})
    assert (analysis.hits, analysis.not_reviewed) == ((), ())


def test_a_file_that_is_not_of_its_language_is_named(tmp_path: Path) -> None:
    analysis = look(tmp_path, {"a.dart": "% & §§ ~~~ |||\n" * 3, "b.js": EVAL})
    assert [(left.path, left.stage) for left in analysis.not_reviewed] == [("a.dart", "labverse")]
    assert "parsed" in analysis.not_reviewed[0].reason
    assert places(analysis) == [("LV-JS-005", 1)]


def test_a_binary_file_is_named(tmp_path: Path) -> None:
    (left,) = look(tmp_path, {"a.ts": b"G@\x10\0\0" * 50}).not_reviewed
    assert "NUL" in left.reason


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    analysis = TreeSitter().run("security", tmp_path, ["gone.js", "bad\0name.js"])
    assert [left.path for left in analysis.not_reviewed] == ["gone.js", "bad\0name.js"]


def test_a_file_over_the_size_limit_is_named(tmp_path: Path) -> None:
    (left,) = look(tmp_path, {"a.js": b" " * (engine.SOURCE_BYTES_MAX + 1)}).not_reviewed
    assert str(engine.SOURCE_BYTES_MAX) in left.reason


def test_hits_over_the_limit_are_cut_and_counted(tmp_path: Path) -> None:
    analysis = look(tmp_path, {"a.js": EVAL * (engine.HITS_MAX + 7)})
    assert len(analysis.hits) == engine.HITS_MAX
    assert analysis.hits[-1].line == engine.HITS_MAX
    assert "7 of 207" in analysis.not_reviewed[0].reason


def test_a_minified_megabyte_ends_in_bounded_time(tmp_path: Path) -> None:
    line = "function a(b,c){return b?c(1,2,'x'+b):d.e[f](g)}el.innerHTML='<b>'+x;q('a'+b);"
    started = time.monotonic()
    analysis = look(tmp_path, {"a.js": line * (1_000_000 // len(line))})
    assert time.monotonic() - started < 4 * engine.FILE_SECONDS_MAX
    # A busy machine ends at the time limit, an idle one at the limit of hits: either is said.
    reasons = " ".join(entry.reason for entry in analysis.not_reviewed)
    assert len(analysis.hits) == engine.HITS_MAX or "gave up" in reasons
    assert reasons
    assert all(len(hit.code) <= 400 for hit in analysis.hits)


def test_a_file_that_takes_too_long_keeps_what_was_found_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FILE_SECONDS_MAX", 0.0)
    (left,) = look(tmp_path, {"a.js": EVAL}).not_reviewed
    assert "gave up" in left.reason


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a.js", "f(" * 50_000 + "1" + ")" * 50_000),
        ("a.ts", "[" * 100_000),
        ("a.tsx", "x = " + "<a>" * 5_000 + "</a>" * 5_000),
        ("a.vue", "<p v-html='x'>" * 5_000 + "</p>" * 5_000),
        ("a.swift", "f(" * 5_000 + ")" * 5_000),
        ("b.js", "a" + ".then(b)" * 5_000),
        ("a.dart", "void f() {" * 2_000 + "}" * 2_000),
    ],
)
def test_deep_nesting_is_survived_and_named(tmp_path: Path, path: str, source: str) -> None:
    started = time.monotonic()
    analysis = look(tmp_path, {path: source})
    assert time.monotonic() - started < 4 * engine.FILE_SECONDS_MAX
    assert {left.path for left in analysis.not_reviewed} == {path}


def test_a_long_sum_of_strings_is_survived(tmp_path: Path) -> None:
    source = (
        'db.query("select a from b where c = " + '
        + " + ".join('"x"' for _ in range(5_000))
        + " + id);\neval(code);\n"
    )
    assert ("LV-JS-005", 2) in places(look(tmp_path, {"a.js": source}))


@pytest.mark.parametrize("suffix", sorted(GRAMMARS))
def test_noise_raises_nothing(tmp_path: Path, suffix: str) -> None:
    noise = random.Random(7)
    scraps = [
        "eval(",
        "'",
        '"',
        "`${",
        "}",
        "<a ",
        "/>",
        "\\(",
        "{",
        "=>",
        "\n",
        "é",
        "\u2028",
        "$x",
        "import ",
    ]
    for number in range(20):
        source = "".join(noise.choices(scraps, k=200))
        for role in ("security", "secrets", "quality"):
            for stage in look(tmp_path, {f"{number}{suffix}": source}, role).stages:
                assert stage.error == ""


def test_a_secret_is_quoted_only_by_its_first_characters(tmp_path: Path) -> None:
    (hit,) = look(tmp_path, {"a.ts": 'const apiKey = "q8Zr2LwX9vTn4KsB7mYd";\n'}, "secrets").hits
    assert hit.code == 'const apiKey = "q8Zr…";'
    assert "q8Zr2" not in repr(hit)


def test_rules_for_code_leave_tests_alone(tmp_path: Path) -> None:
    source = "try { f(); } catch (e) {}\n"
    paths = {"src/a.js": source, "src/a.test.js": source, "tests/a.js": source, "AppTests/A.js": source}
    assert [hit.path for hit in look(tmp_path, paths, "quality").hits] == ["src/a.js"]


def test_every_query_compiles() -> None:
    for grammar in set(GRAMMARS.values()):
        for role in ("security", "secrets", "quality", "performance", "testing", "accessibility"):
            for query in queries_for(grammar, role):
                assert query.query.pattern_count >= 1


def test_a_rule_with_an_unknown_condition_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = look_with(tmp_path, monkeypatch, "((identifier) @hit (#looks-bad? @hit))")
    assert "X-1" in analysis.stages[0].error
    assert "looks-bad?" in analysis.stages[0].error


def test_a_query_that_does_not_compile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = look_with(tmp_path, monkeypatch, "(no_such_node) @hit")
    assert "X-1" in analysis.stages[0].error
    assert "no_such_node" in analysis.stages[0].error


def look_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str) -> Analysis:
    """What a run says when there is one rule file, whose one rule has this query."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "x.yaml").write_text(
        "rules: [{id: X-1, role: security, severity: low, title: t, description: d, fix: f, "
        f"variants: [{{languages: [javascript], query: '{query}', bad: [a], good: [b]}}]}}]"
    )
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path)
    load_rules.cache_clear()
    queries_for.cache_clear()
    try:
        return look(tmp_path, {"a.js": "a\n"})
    finally:
        monkeypatch.undo()
        load_rules.cache_clear()
        queries_for.cache_clear()


def test_templates_within_templates_are_judged_in_bounded_time(tmp_path: Path) -> None:
    source = "db.query(" + "`select a from b where ${" * 60 + "1" + "}`" * 60 + ");\neval(code);\n"
    started = time.monotonic()
    assert places(look(tmp_path, {"a.js": source})) == [("LV-JS-005", 2)]
    assert time.monotonic() - started < engine.FILE_SECONDS_MAX
