"""Parses query strings and validates them against an endpoint."""

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, quote

from sandbox.endpoints.model import Endpoint
from sandbox.errors import invalid_parameter
from sandbox.filters import DATE_TYPES, LOWER_BOUNDS, Condition, FilterError, parse_filter
from sandbox.pagination import Cursor


@dataclass(frozen=True)
class Query:
    """The validated parameters of a GET request.

    `pairs` are the decoded parameters in the order received. `fields` holds the sparse fieldsets
    by resource type. `size` is the page size, None if the endpoint has no pages.
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
    def encoded(self) -> str:
        """The query string, percent-encoded."""
        return _encode(self.pairs)

    @property
    def without_cursor(self) -> str:
        """The query string of the first page."""
        return _encode(self._pairs_without_cursor)

    def with_cursor(self, cursor: Cursor) -> str:
        """The query string of the page at a cursor."""
        return _encode((*self._pairs_without_cursor, ("page[cursor]", cursor.encode())))

    @property
    def _pairs_without_cursor(self) -> tuple[tuple[str, str], ...]:
        return tuple(pair for pair in self.pairs if pair[0] != "page[cursor]")


def parse_pairs(raw: str) -> tuple[tuple[str, str], ...]:
    """Decode a query string into names and values; `+` decodes to a space."""
    return tuple(parse_qsl(raw, keep_blank_values=True))


def parse_query(endpoint: Endpoint, raw: str, *, path: str, now: float) -> Query:
    """Parse and validate a query string; `now` is in Unix seconds.

    Raises ApiError (400) that names the first invalid parameter.
    """
    pairs = parse_pairs(raw)
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise invalid_parameter(repeated, f"The parameter '{repeated}' is given more than once.")
    _check_names(endpoint, parameters)
    sort = _sort(endpoint, parameters)
    # A cursor stays valid when the page size changes, but not when filter or sort do.
    identity = f"{path}?{parameters.get('filter', '')}&{sort}"
    fingerprint = zlib.crc32(identity.encode("utf-8", "replace"))
    cursor = parameters.get("page[cursor]")
    return Query(
        pairs=pairs,
        conditions=_conditions(endpoint, parameters.get("filter"), now),
        sort=sort,
        include=tuple(sorted(_names(parameters, "include", endpoint.includes))),
        fields={
            resource_type: _names(
                parameters, f"fields[{resource_type}]", endpoint.fields(resource_type)
            )
            for resource_type in endpoint.response_types()
            if f"fields[{resource_type}]" in parameters
        },
        additional=_names(
            parameters, f"additional-fields[{endpoint.resource_type}]", endpoint.additional
        ),
        size=_page_size(endpoint, parameters),
        cursor=None if cursor is None else Cursor.decode(cursor, fingerprint),
        fingerprint=fingerprint,
    )


def _encode(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def _check_names(endpoint: Endpoint, parameters: Mapping[str, str]) -> None:
    allowed = {f"fields[{resource_type}]" for resource_type in endpoint.response_types()}
    allowed |= {"filter"} if endpoint.filters else set()
    allowed |= {"sort"} if endpoint.sorts else set()
    allowed |= {"include"} if endpoint.includes else set()
    if endpoint.additional:
        allowed |= {f"additional-fields[{endpoint.resource_type}]"}
    if endpoint.page:
        allowed |= {"page[cursor]"}
        allowed |= {"page[size]"} if endpoint.page.maximum else set()
    for name in parameters:
        if name not in allowed:
            raise invalid_parameter(name, f"'{name}' is not an allowed query parameter.")


def _names(parameters: Mapping[str, str], name: str, allowed: frozenset[str]) -> frozenset[str]:
    """The comma-separated names of a parameter; empty if it is not given."""
    if name not in parameters:
        return frozenset()
    values = parameters[name].split(",")
    for value in values:
        if value not in allowed:
            detail = f"'{value}' is not an allowed {name.partition('[')[0]} parameter."
            raise invalid_parameter(name, detail)
    return frozenset(values)


def _sort(endpoint: Endpoint, parameters: Mapping[str, str]) -> str:
    sort = parameters.get("sort")
    if sort is None:
        return endpoint.default_sort
    if sort.removeprefix("-") not in endpoint.sorts:
        raise invalid_parameter("sort", f"'{sort}' is not an allowed sort parameter.")
    return sort


def _page_size(endpoint: Endpoint, parameters: Mapping[str, str]) -> int | None:
    if endpoint.page is None:
        return None
    text = parameters.get("page[size]")
    maximum = endpoint.page.maximum
    if text is None or maximum is None:
        return endpoint.page.default
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= maximum:
        detail = f"Page size must be an integer between 1 and {maximum}."
        raise invalid_parameter("page[size]", detail)
    return int(text)


def _conditions(endpoint: Endpoint, text: str | None, now: float) -> tuple[Condition, ...]:
    try:
        conditions = parse_filter(text, endpoint.filters) if text is not None else ()
    except FilterError as error:
        raise invalid_parameter("filter", str(error)) from error
    used = {condition.field for condition in conditions}
    if endpoint.required_filters and not endpoint.required_filters & used:
        wanted = " or ".join(f"'{name}'" for name in sorted(endpoint.required_filters))
        raise invalid_parameter("filter", f"A filter on {wanted} is required.")
    for condition in conditions:
        is_date = endpoint.filters[condition.field].type in DATE_TYPES
        if is_date and condition.operator in LOWER_BOUNDS and _seconds(condition) > now:
            detail = f"The lower bound of '{condition.field}' is in the future."
            raise invalid_parameter("filter", detail)
    if detail := endpoint.check_filter(conditions) or "":
        raise invalid_parameter("filter", detail)
    defaults = (default for default in endpoint.default_filters if default.field not in used)
    return (*conditions, *defaults)


def _seconds(condition: Condition) -> float:
    value = condition.value
    if isinstance(value, datetime):
        return value.timestamp()
    assert isinstance(value, int), "only datetime and timestamp fields have lower bounds here"
    return float(value)
