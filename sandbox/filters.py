"""Klaviyo's filter language: `op(field,value)`, joined by commas or by `and(…)`.

Strings stand in single or double quotes with backslash escapes; numbers, booleans and date-times
stand bare; a list is `[a,b]`. A blank is allowed after a comma and nowhere else, so a date-time
whose `+` was decoded into a blank is refused.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, TypeAlias

Scalar: TypeAlias = str | int | float | bool | datetime
Value: TypeAlias = Scalar | tuple[Scalar, ...] | None


class FilterError(ValueError):
    """The filter is not well formed, or asks for what the endpoint does not allow."""


@dataclass(frozen=True)
class Field:
    """What an endpoint allows for one filter field.

    `type` is one of `TYPES`, `operators` the names of the allowed operators.
    """

    type: str
    operators: frozenset[str]


@dataclass(frozen=True)
class Condition:
    """One comparison. A datetime value is aware; `has` compares with None."""

    operator: str
    field: str
    value: Value


_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<punctuation>[(),\[\]])
      | (?P<bare>[^\s(),\[\]"']+)""",
    re.VERBOSE | re.DOTALL,
)
_DATETIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)

TYPES: Mapping[str, Callable[[Value], bool]] = {
    "string": lambda value: isinstance(value, str),
    "strings": lambda value: isinstance(value, str) or _is_list_of(str, value),
    "datetime": lambda value: isinstance(value, datetime),
    "integer": lambda value: type(value) is int,
    "seconds": lambda value: type(value) is int,
    "boolean": lambda value: isinstance(value, bool),
    "relation": lambda value: value is None,
}

MOMENTS = frozenset({"datetime", "seconds"})
LOWER_BOUNDS = frozenset({"greater-than", "greater-or-equal"})

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": lambda actual, wanted: (
        actual in wanted if isinstance(wanted, tuple) else actual == wanted
    ),
    "any": lambda actual, wanted: actual in wanted,
    "contains": lambda actual, wanted: wanted in actual,
    "contains-all": lambda actual, wanted: set(wanted) <= _every(actual),
    "contains-any": lambda actual, wanted: not _every(actual).isdisjoint(wanted),
    "starts-with": str.startswith,
    "ends-with": str.endswith,
    "greater-than": operator.gt,
    "greater-or-equal": operator.ge,
    "less-than": operator.lt,
    "less-or-equal": operator.le,
}


_OF_LISTS = frozenset({"any", "contains-all", "contains-any"})


def parse(text: str, allowed: Mapping[str, Field]) -> tuple[Condition, ...]:
    """Read a filter and hold it against what the endpoint allows.

    Raises FilterError for anything malformed or not allowed, and for a field that is compared
    twice by the same operator.
    """
    conditions = tuple(_Parser(text).conditions())
    seen: set[tuple[str, str]] = set()
    for condition in conditions:
        _check(condition, allowed)
        if (condition.field, condition.operator) in seen:
            raise FilterError(f"'{condition.operator}({condition.field})' is given twice.")
        seen.add((condition.field, condition.operator))
    return conditions


def matcher(conditions: Iterable[Condition]) -> Callable[[Mapping[str, Any]], bool]:
    """Make a predicate over nested attributes; dotted fields reach into objects and arrays.

    Conditions on parts of the same array element must hold on one element together: a reason and
    a timestamp of a suppression are those of a single suppression.
    """
    groups: dict[str, list[tuple[str, Condition]]] = {}
    for condition in conditions:
        parent, _, name = condition.field.rpartition(".")
        groups.setdefault(parent, []).append((name, condition))

    def matches(attributes: Mapping[str, Any]) -> bool:
        return all(
            any(
                all(holds(condition, candidate.get(name)) for name, condition in group)
                for candidate in descend(attributes, parent)
            )
            for parent, group in groups.items()
        )

    return matches


def holds(condition: Condition, actual: Any) -> bool:
    """Whether an attribute's value satisfies a condition; null satisfies none."""
    if actual is None:
        return False
    wanted = condition.value
    if isinstance(wanted, datetime):
        actual, wanted = instant(actual), wanted.timestamp()
    return _COMPARISONS[condition.operator](actual, wanted)


def descend(attributes: Mapping[str, Any], path: str) -> list[Mapping[str, Any]]:
    """The objects that a dotted path leads to: none for a null, several for an array."""
    found: list[Mapping[str, Any]] = [attributes]
    for name in filter(None, path.split(".")):
        inner = [candidate.get(name) for candidate in found]
        found = []
        for value in inner:
            found += value if isinstance(value, list) else [value] if value else []
    return found


@lru_cache(maxsize=100_000)
def instant(text: str) -> float:
    """Unix seconds of an attribute's date-time, which may have a blank instead of the `T`."""
    return datetime.fromisoformat(text).timestamp()


def _every(actual: Any) -> set[Any]:
    return set(actual) if isinstance(actual, list) else {actual}


def _is_list_of(kind: type, value: Value) -> bool:
    return isinstance(value, tuple) and len(value) > 0 and all(type(item) is kind for item in value)


def _check(condition: Condition, allowed: Mapping[str, Field]) -> None:
    field = allowed.get(condition.field)
    if field is None:
        raise FilterError(f"'{condition.field}' is not an allowed filter field.")
    if condition.operator not in field.operators:
        raise FilterError(
            f"'{condition.operator}' is not an allowed operator for '{condition.field}'."
        )
    if condition.operator in _OF_LISTS:
        fits = isinstance(condition.value, tuple) and all(map(TYPES[field.type], condition.value))
    else:
        fits = TYPES[field.type](condition.value)
    if not fits:
        raise FilterError(f"Invalid value for '{condition.field}': expected a {field.type}.")


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def conditions(self) -> list[Condition]:
        found = self._conjunction()
        if self._at != len(self._text):
            raise self._error()
        return found

    def _conjunction(self) -> list[Condition]:
        found = self._call()
        while self._accept(","):
            found += self._call()
        return found

    def _call(self) -> list[Condition]:
        name = self._bare()
        self._expect("(")
        if name == "and":
            found = self._conjunction()
        elif name == "has":
            found = [Condition(name, self._bare(), None)]
        else:
            field = self._bare()
            self._expect(",")
            found = [Condition(name, field, self._value())]
        self._expect(")")
        return found

    def _value(self) -> Value:
        if not self._accept("["):
            return self._scalar()
        items = [self._scalar()]
        while self._accept(","):
            items.append(self._scalar())
        self._expect("]")
        return tuple(items)

    def _scalar(self) -> Scalar:
        kind, text = self._next()
        if kind == "string":
            return _ESCAPE.sub(_unescaped, text[1:-1])
        if kind == "bare":
            return _literal(text)
        raise self._error()

    def _bare(self) -> str:
        kind, text = self._next()
        if kind != "bare":
            raise self._error()
        return text

    def _next(self) -> tuple[str, str]:
        token = _TOKEN.match(self._text, self._at)
        if token is None or token.lastgroup is None:
            raise self._error()
        self._at = token.end()
        return token.lastgroup, token.group()

    def _accept(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += 1
        if mark == ",":
            self._at += len(self._text[self._at :]) - len(self._text[self._at :].lstrip(" "))
        return True

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            raise self._error()

    def _error(self) -> FilterError:
        return FilterError(f"Invalid filter provided: unexpected input at position {self._at}.")


def _unescaped(match: re.Match[str]) -> str:
    escape = match.group(1)
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    return _ESCAPES.get(escape, escape)


def _literal(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    moment = _DATETIME.fullmatch(text)
    if moment is None:
        raise FilterError(f"Invalid filter provided: '{text}' is not a value.")
    seconds, fraction, zone = moment.groups()
    try:
        return datetime.fromisoformat(
            f"{seconds}.{(fraction or '').ljust(6, '0')}{'+00:00' if zone == 'Z' else zone}"
        ).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise FilterError(f"Invalid filter provided: '{text}' is not a date-time.") from error
