"""Tests of the formulas."""

import ast

import pytest

from dispatch.routes.admin import evaluate

PASSWORD = "correct horse battery"
TOKEN = "test-token"


@pytest.mark.parametrize(("text", "value"), [("1 + 2 * 3", 7.0), ("10 - 4", 6.0)])
def test_formulas(text, value):
    assert evaluate(ast.parse(text, mode="eval").body) == value


def test_nothing_else_is_run():
    with pytest.raises(ValueError):
        evaluate(ast.parse("open('x')", mode="eval").body)
