"""Query parameters held against an endpoint's rules."""

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, quote

from sandbox.endpoints.model import Endpoint
from sandbox.errors import invalid
from sandbox.filters import LOWER_BOUNDS, MOMENTS, Condition, FilterError, parse
from sandbox.pagination import Cursor


@dataclass(frozen=True)
class Query:
    """What a request asks for, every part of it allowed.

    `pairs` are the decoded parameters as they came; `fields` holds the sparse fieldsets by type;
    `size` is the number of records per page, None where there are no pages.
    """

    pairs: tuple[tuple[str, str], ...]
    conditions: tuple[Condition, ...]
    sort: str
    include: tuple[str, ...]
    fields: Mapping[str, frozenset[str]]
    additional: frozenset[str]
    size: int | None
    cursor: Cursor | None
    fingerprint: int

    @property
    def own(self) -> str:
        """The query string as it came, percent-encoded throughout."""
        return _encoded(self.pairs)

    @property
    def first(self) -> str:
        """The query string of the first page."""
        return _encoded(self._without_cursor)

    def at(self, cursor: Cursor) -> str:
        """The query string of another page."""
        return _encoded((*self._without_cursor, ("page[cursor]", cursor.encode())))

    @property
    def _without_cursor(self) -> tuple[tuple[str, str], ...]:
        return tuple(pair for pair in self.pairs if pair[0] != "page[cursor]")


def pairs_of(raw: str) -> tuple[tuple[str, str], ...]:
    """Decode a raw query string; as in any form, a raw `+` stands for a blank."""
    return tuple(parse_qsl(raw, keep_blank_values=True))


def read(endpoint: Endpoint, raw: str, *, path: str, now: float) -> Query:
    """Read a raw query string; `now` is in Unix seconds.

    Raises Refusal (400) naming the first parameter that the endpoint does not allow.
    """
    pairs = pairs_of(raw)
    given = dict(pairs)
    if len(given) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise invalid(twice, f"The parameter '{twice}' is given more than once.")
    _known(endpoint, given)
    sort = _sort(endpoint, given)
    # Cursors belong to what was filtered and how it was sorted; a page's size may change.
    made_for = f"{path}?{given.get('filter', '')}&{sort}"
    fingerprint = zlib.crc32(made_for.encode("utf-8", "replace"))
    cursor = given.get("page[cursor]")
    return Query(
        pairs=pairs,
        conditions=_conditions(endpoint, given.get("filter"), now),
        sort=sort,
        include=tuple(sorted(_words(given, "include", endpoint.includes))),
        fields={
            kind: _words(given, f"fields[{kind}]", endpoint.fields(kind))
            for kind in endpoint.kinds()
            if f"fields[{kind}]" in given
        },
        additional=_words(given, f"additional-fields[{endpoint.kind}]", endpoint.additional),
        size=_size(endpoint, given),
        cursor=None if cursor is None else Cursor.decode(cursor, fingerprint),
        fingerprint=fingerprint,
    )


def _encoded(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def _known(endpoint: Endpoint, given: Mapping[str, str]) -> None:
    known = {f"fields[{kind}]" for kind in endpoint.kinds()}
    known |= {"filter"} if endpoint.filters else set()
    known |= {"sort"} if endpoint.sorts else set()
    known |= {"include"} if endpoint.includes else set()
    known |= {f"additional-fields[{endpoint.kind}]"} if endpoint.additional else set()
    if endpoint.page:
        known |= {"page[cursor]"}
        known |= {"page[size]"} if endpoint.page.maximum else set()
    for name in given:
        if name not in known:
            raise invalid(name, f"'{name}' is not an allowed query parameter.")


def _words(given: Mapping[str, str], name: str, allowed: frozenset[str]) -> frozenset[str]:
    if name not in given:
        return frozenset()
    words = given[name].split(",")
    for word in words:
        if word not in allowed:
            raise invalid(name, f"'{word}' is not an allowed {name.partition('[')[0]} parameter.")
    return frozenset(words)


def _sort(endpoint: Endpoint, given: Mapping[str, str]) -> str:
    sort = given.get("sort")
    if sort is None:
        return endpoint.default_sort
    if sort.removeprefix("-") not in endpoint.sorts:
        raise invalid("sort", f"'{sort}' is not an allowed sort parameter.")
    return sort


def _size(endpoint: Endpoint, given: Mapping[str, str]) -> int | None:
    if endpoint.page is None:
        return None
    text = given.get("page[size]")
    if text is None or endpoint.page.maximum is None:
        return endpoint.page.default
    most = endpoint.page.maximum
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise invalid("page[size]", f"Page size must be an integer between 1 and {most}.")
    return int(text)


def _conditions(endpoint: Endpoint, text: str | None, now: float) -> tuple[Condition, ...]:
    try:
        conditions = parse(text, endpoint.filters) if text is not None else ()
    except FilterError as error:
        raise invalid("filter", str(error)) from error
    used = {condition.field for condition in conditions}
    if endpoint.required and not endpoint.required & used:
        wanted = " or ".join(f"'{name}'" for name in sorted(endpoint.required))
        raise invalid("filter", f"A filter on {wanted} is required.")
    for condition in conditions:
        moment = endpoint.filters[condition.field].type in MOMENTS
        if moment and condition.operator in LOWER_BOUNDS and _seconds(condition) > now:
            raise invalid("filter", f"The lower bound of '{condition.field}' is in the future.")
    if refused := endpoint.check(conditions):
        raise invalid("filter", refused)
    return conditions + tuple(rule for rule in endpoint.implied if rule.field not in used)


def _seconds(condition: Condition) -> float:
    value = condition.value
    if isinstance(value, datetime):
        return value.timestamp()
    assert isinstance(value, int), "only moments have an order"
    return float(value)
