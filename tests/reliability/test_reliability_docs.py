"""The document of promises names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DOCUMENT = (HERE.parent.parent / "docs" / "reliability.md").read_text()
PROMISES = re.findall(r"^(\d)\. \*\*(.+?)(?=^\d\. |^And )", DOCUMENT, re.M | re.S)
TESTS = {
    node.name
    for path in HERE.parent.rglob("test_*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef)
}


def test_there_are_eight_promises() -> None:
    """They are numbered, and none is without a test."""
    assert [number for number, _ in PROMISES] == list("12345678")
    assert all("`test_" in text for _, text in PROMISES)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", DOCUMENT))))
def test_what_holds_a_promise_exists(name: str) -> None:
    """Each test that the document names is there."""
    assert name in TESTS
