"""Records with hashes as docs/hashing.md describes them, without any code of the tap."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Record = dict[str, Any]
Schema = Mapping[str, Any]

_WILDCARDS = {"*": ".*", "?": ".", "[": "[", "]": "]"}
"""As regular expressions; of `[...]` only simple sets are known."""


@dataclass(frozen=True)
class ExpectedHashes:
    """What is hashed by `patterns`, with the key `salt`."""

    patterns: tuple[str, ...]
    salt: str

    def digest(self, text: str) -> str:
        """The hash of a text exactly as it is."""
        return hmac.new(self.salt.encode(), text.encode(), hashlib.sha256).hexdigest()

    def record(self, stream: str, schema: Schema, record: Record) -> Record:
        """A record of a stream with hashes."""
        known = schema["properties"]
        return {
            name: self._value(f"{stream}.{name}", known.get(name, {}), value)
            for name, value in record.items()
        }

    def _value(self, path: str, schema: Schema, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(path, schema.get("items", {}), item) for item in value]
        if not isinstance(value, dict):
            return self._all(value) if self._matches(path) else value
        if is_free_form(schema):
            return self._named(self._names_within(path), "", value)
        if not schema and self._matches(path):
            return self._all(value)
        known = schema.get("properties", {})
        return {
            name: self._value(f"{path}.{name}", known.get(name, {}), child)
            for name, child in value.items()
        }

    def _named(self, names: set[str], prefix: str, value: Any) -> Any:
        """A value in a free-form object, in which only `names` are hashed."""
        if isinstance(value, list):
            return [self._named(names, prefix, item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self._all(child)
            if prefix + name in names
            else self._named(names, f"{prefix}{name}.", child)
            for name, child in value.items()
        }

    def _all(self, value: Any) -> Any:
        """A value in which everything is hashed but null and text without a character."""
        if isinstance(value, list):
            return [self._all(item) for item in value]
        if isinstance(value, dict):
            return {name: self._all(child) for name, child in value.items()}
        if value is None:
            return None
        text = value if isinstance(value, str) else json.dumps(value)
        return self.digest(text.strip().lower()) if text.strip() else value

    def _names_within(self, path: str) -> set[str]:
        """What patterns name in the free-form object at a path."""
        return {
            end
            for start, end, expression in self._split_patterns
            if start.rpartition(".")[2] == path.rpartition(".")[2] and expression.fullmatch(path)
        }

    def _matches(self, path: str) -> bool:
        if path not in self._known_paths:
            self._known_paths[path] = any(one.fullmatch(path) for one in self._expressions)
        return self._known_paths[path]

    @cached_property
    def _known_paths(self) -> dict[str, bool]:
        return {}

    @cached_property
    def _expressions(self) -> list[re.Pattern[str]]:
        return [_expression(pattern) for pattern in self.patterns]

    @cached_property
    def _split_patterns(self) -> list[tuple[str, str, re.Pattern[str]]]:
        """Each pattern, divided at each of its dots, with the expression of its first part."""
        return [
            (pattern[: dot.start()], end, _expression(pattern[: dot.start()]))
            for pattern in self.patterns
            for dot in re.finditer(r"\.", pattern)
            if "*" not in (end := pattern[dot.end() :])
        ]


def is_free_form(schema: Schema) -> bool:
    """Whether a schema declares an object without saying what is in it."""
    return "object" in schema.get("type", ()) and not schema.get("properties")


def without_free_form(schema: Schema, value: Any) -> Any:
    """A value without the free-form objects in it."""
    if is_free_form(schema):
        return None
    if isinstance(value, list):
        return [without_free_form(schema.get("items", {}), item) for item in value]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return {
            name: without_free_form(known.get(name, {}), child) for name, child in value.items()
        }
    return value


def _expression(pattern: str) -> re.Pattern[str]:
    parts = (_WILDCARDS.get(character, re.escape(character)) for character in pattern)
    return re.compile("".join(parts), re.DOTALL)
