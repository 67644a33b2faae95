"""Every rule against its own examples, in every language that it claims."""

from collections.abc import Iterator

import pytest

from agents.review.analysers.tree import rules as rules_module
from agents.review.analysers.tree.engine import review
from agents.review.analysers.tree.languages import GRAMMARS
from agents.review.analysers.tree.rules import Example, Rule, Variant, load_rules

RULES = pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.id) for rule in load_rules()])
SCRIPTS = {"javascript": "<script>\n{}\n</script>", "typescript": '<script setup lang="ts">\n{}\n</script>'}
"""How a snippet stands in a Vue component: one line further down."""


@RULES
def test_a_rule_hits_its_bad_examples_at_the_right_line(rule: Rule) -> None:
    missed = [
        f"{path}: line {line} not in {lines}\n{code}"
        for kind, path, code, line in examples(rule)
        if kind == "bad" and line not in (lines := lines_hit(rule, path, code))
    ]
    assert not missed, "\n".join(missed)


@RULES
def test_a_rule_leaves_its_good_examples_alone(rule: Rule) -> None:
    wrong = [
        f"{path}: {lines}\n{code}"
        for kind, path, code, _ in examples(rule)
        if kind == "good" and (lines := lines_hit(rule, path, code))
    ]
    assert not wrong, "\n".join(wrong)


@RULES
def test_a_rule_has_examples_and_says_what_follows_and_what_to_do(rule: Rule) -> None:
    assert all(variant.bad and variant.good for variant in rule.variants)
    assert 0 < len(rule.title) <= 60
    assert len(rule.description) >= 40
    assert len(rule.fix) >= 15
    assert 0 < rule.confidence <= 1


def test_there_are_rules_for_each_language_and_role() -> None:
    rules = load_rules()
    assert len(rules) >= 45
    assert {language for rule in rules for variant in rule.variants for language in variant.languages} == set(
        GRAMMARS.values()
    )
    assert len({rule.role for rule in rules}) == 6


def examples(rule: Rule) -> Iterator[tuple[str, str, str, int]]:
    """Kind, path, code and expected line of each example, once for every way to write it down."""
    for variant in rule.variants:
        for language in variant.languages:
            for kind, found in (("bad", variant.bad), ("good", variant.good)):
                for example in (one if isinstance(one, Example) else Example(code=one) for one in found):
                    stem = example.path or "src/snippet"
                    for suffix in (suffix for suffix, grammar in GRAMMARS.items() if grammar == language):
                        yield kind, stem + suffix, example.code, example.line
                    if is_script(variant) and language in SCRIPTS:
                        wrapped = SCRIPTS[language].replace("{}", example.code)
                        yield kind, f"{stem}.vue", wrapped, example.line + 1


def is_script(variant: Variant) -> bool:
    return {"javascript", "typescript"} <= set(variant.languages)


def lines_hit(rule: Rule, path: str, code: str) -> list[int]:
    outcome = review(code.encode(), path, rule.role)
    assert outcome.left_out == ()
    return [hit.line for hit in outcome.hits if hit.rule == rule.id]


@pytest.mark.parametrize("suffix", [".js", ".tsx", ".swift", ".dart", ".py"])
def test_looking_only_where_words_stand_finds_the_same(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [
        code
        for rule in load_rules()
        for _, path, code, _ in examples(rule)
        if path.endswith(f"snippet{suffix}")
    ]
    for at in range(0, len(codes), 10):
        source = ("\n" * 3).join(codes[at : at + 10]).encode()
        for role in sorted({rule.role for rule in load_rules()}):
            near = review(source, f"src/a{suffix}", role)
            with monkeypatch.context() as patch:
                patch.setattr(rules_module, "spots_of", lambda words, source: None)
                assert review(source, f"src/a{suffix}", role) == near
