"""Names of modules, classes, functions and variables are terms that a stranger knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "tap_klaviyo",
    "sandbox",
    "tools",
    "benchmarks",
    "demo",
    "container",
    "examples",
    "tests",
)
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))

REPLACED = {
    "lane": "partition",
    "lanes": "partitions",
    "timeline": "window tracker",
    "timelines": "window trackers",
    "trail": "next links",
    "shaper": "page parser",
    "gate": "rate limiter",
    "gates": "rate limiters",
    "repair": "conform",
    "repaired": "converted",
    "inquiry": "account lookup",
    "inquiries": "account lookups",
    "question": "report query",
    "questions": "report queries",
    "turns": "scheduler",
    "engine": "worker pool",
    "unkeyed": "without key",
    "unseen": "hidden parent",
    "joining": "backfill",
    "facts": "metadata",
    "kinds": "types",
    "misuse": "value refused",
    "inclusions": "relationships",
    "meanwhile": "in the meantime",
    "utils": "the term for what is in it",
    "helpers": "the term for what is in it",
}
"""Words that named things once, and the term to use instead."""

LIBRARIES = {"requests", "backoff", "pendulum", "singer", "msgspec", "rich", "urllib3", "logging"}


def words_of(name: str) -> list[str]:
    """The lower-case words of a name in snake case or camel case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return [word for word in spaced.lower().split("_") if word]


def names_in(file: Path) -> Iterator[str]:
    """The names that a module defines: its own, and those of all that is in it."""
    yield file.stem
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg


def test_words_of_a_name() -> None:
    """Names are split at underscores and capitals."""
    assert words_of("_WindowReader") == ["window", "reader"]
    assert words_of("next_URLs") == ["next", "ur", "ls"]
    assert words_of("HTTPAdapter") == ["http", "adapter"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_names_are_known_terms(file: Path) -> None:
    """No name has a word that was replaced by a term of the field."""
    for name in names_in(file):
        for word in words_of(name):
            assert word not in REPLACED, f"{name}: use '{REPLACED[word]}'"


def test_no_module_is_named_as_a_library() -> None:
    """The name of a module is not that of a library that the tap uses."""
    for file in (ROOT / "tap_klaviyo").rglob("*.py"):
        assert file.stem not in LIBRARIES, file
