"""Klaviyo's filter language: `operator(field,value)`, joined by commas or by `and(…)`.

Strings are in single or double quotes with backslash escapes; numbers, booleans and date-times are
unquoted; a list is `[a,b]`. Spaces are allowed only after a comma, so a date-time whose `+` was
decoded to a space is an error.
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
    """The filter is malformed or not allowed by the endpoint."""


@dataclass(frozen=True)
class FilterField:
    """A filter field of an endpoint: its type, a key of `TYPES`, and its operators."""

    type: str
    operators: frozenset[str]


@dataclass(frozen=True)
class Condition:
    """One comparison. Datetimes are aware; the value of `has` is None."""

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

DATE_TYPES = frozenset({"datetime", "seconds"})
LOWER_BOUNDS = frozenset({"greater-than", "greater-or-equal"})

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": lambda actual, wanted: (
        actual in wanted if isinstance(wanted, tuple) else actual == wanted
    ),
    "any": lambda actual, wanted: actual in wanted,
    "contains": lambda actual, wanted: wanted in actual,
    "contains-all": lambda actual, wanted: set(wanted) <= _as_set(actual),
    "contains-any": lambda actual, wanted: not _as_set(actual).isdisjoint(wanted),
    "starts-with": str.startswith,
    "ends-with": str.endswith,
    "greater-than": operator.gt,
    "greater-or-equal": operator.ge,
    "less-than": operator.lt,
    "less-or-equal": operator.le,
}

_LIST_OPERATORS = frozenset({"any", "contains-all", "contains-any"})


def parse_filter(text: str, allowed: Mapping[str, FilterField]) -> tuple[Condition, ...]:
    """Parse a filter and check it against the fields that the endpoint allows.

    Raises FilterError if it is malformed or not allowed, or uses one operator twice on a field.
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
    """Make a predicate over attributes; dotted fields reach into objects and arrays.

    Conditions on one array must be satisfied by the same element: the reason and the timestamp of
    a suppression, for example.
    """
    groups: dict[str, list[tuple[str, Condition]]] = {}
    for condition in conditions:
        parent, _, name = condition.field.rpartition(".")
        groups.setdefault(parent, []).append((name, condition))

    def matches(attributes: Mapping[str, Any]) -> bool:
        return all(
            any(
                all(satisfies(condition, candidate.get(name)) for name, condition in group)
                for candidate in resolve_path(attributes, parent)
            )
            for parent, group in groups.items()
        )

    return matches


def satisfies(condition: Condition, actual: Any) -> bool:
    """Whether a value satisfies a condition; null satisfies none."""
    if actual is None:
        return False
    wanted = condition.value
    if isinstance(wanted, datetime):
        actual, wanted = unix_seconds(actual), wanted.timestamp()
    return _COMPARISONS[condition.operator](actual, wanted)


def resolve_path(attributes: Mapping[str, Any], path: str) -> list[Mapping[str, Any]]:
    """The objects at a dotted path: none for null, several for an array."""
    found: list[Mapping[str, Any]] = [attributes]
    for name in filter(None, path.split(".")):
        inner = [candidate.get(name) for candidate in found]
        found = []
        for value in inner:
            found += value if isinstance(value, list) else [value] if value else []
    return found


@lru_cache(maxsize=100_000)
def unix_seconds(text: str) -> float:
    """Unix seconds of an ISO 8601 date-time, also with a space instead of the `T`."""
    return datetime.fromisoformat(text).timestamp()


def _as_set(actual: Any) -> set[Any]:
    return set(actual) if isinstance(actual, list) else {actual}


def _is_list_of(item_type: type, value: Value) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) > 0
        and all(type(item) is item_type for item in value)
    )


def _check(condition: Condition, allowed: Mapping[str, FilterField]) -> None:
    field = allowed.get(condition.field)
    if field is None:
        raise FilterError(f"'{condition.field}' is not an allowed filter field.")
    if condition.operator not in field.operators:
        raise FilterError(
            f"'{condition.operator}' is not an allowed operator for '{condition.field}'."
        )
    if condition.operator in _LIST_OPERATORS:
        valid = isinstance(condition.value, tuple) and all(map(TYPES[field.type], condition.value))
    else:
        valid = TYPES[field.type](condition.value)
    if not valid:
        raise FilterError(f"Invalid value for '{condition.field}': expected a {field.type}.")


class _Parser:
    """Recursive-descent parser of one filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def conditions(self) -> list[Condition]:
        found = self._conjunction()
        if self._position != len(self._text):
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
        token_type, text = self._next()
        if token_type == "string":
            return _ESCAPE.sub(_unescaped, text[1:-1])
        if token_type == "bare":
            return _literal(text)
        raise self._error()

    def _bare(self) -> str:
        token_type, text = self._next()
        if token_type != "bare":
            raise self._error()
        return text

    def _next(self) -> tuple[str, str]:
        token = _TOKEN.match(self._text, self._position)
        if token is None or token.lastgroup is None:
            raise self._error()
        self._position = token.end()
        return token.lastgroup, token.group()

    def _accept(self, symbol: str) -> bool:
        if not self._text.startswith(symbol, self._position):
            return False
        self._position += 1
        if symbol == ",":
            self._position += len(self._text[self._position :]) - len(
                self._text[self._position :].lstrip(" ")
            )
        return True

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            raise self._error()

    def _error(self) -> FilterError:
        return FilterError(
            f"Invalid filter provided: unexpected input at position {self._position}."
        )


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
