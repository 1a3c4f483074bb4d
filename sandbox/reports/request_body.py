"""Parses and validates JSON:API request bodies; errors point to the invalid attribute."""

import json
import zlib
from collections.abc import Container
from typing import Any

from sandbox.errors import ApiError, invalid_body
from sandbox.filters import Condition, FilterError, FilterField, parse_filter
from sandbox.http_messages import MEDIA_TYPE, Request

_MEDIA_TYPES = frozenset({MEDIA_TYPE, "application/json"})
_MAX_LIST_VALUES = 100


class RequestBody:
    """The attributes of a request body that must be a document of `type`.

    Raises ApiError: 415 for another media type; 400 if the document is invalid, lacks a `required`
    attribute or has one that is not `optional` either.
    """

    def __init__(
        self, request: Request, type: str, required: frozenset[str], optional: frozenset[str]
    ) -> None:
        media_type, _, _ = (request.header("Content-Type") or "").partition(";")
        if media_type.strip() not in _MEDIA_TYPES:
            detail = f"Send the body as Content-Type: {MEDIA_TYPE}."
            raise ApiError(415, "unsupported_media_type", "Unsupported media type.", detail)
        try:
            document = json.loads(request.body)
        except ValueError as error:
            raise invalid_body("/", "The body is not JSON.") from error
        data = _object("/data", _object("/", document).get("data"))
        if data.get("type") != type:
            raise invalid_body("/data/type", f"The type must be '{type}'.")
        self._attributes = _object("/data/attributes", data.get("attributes"))
        for name in sorted(required - self._attributes.keys()):
            raise self.invalid(name, f"'{name}' is required.")
        for name in self._attributes.keys() - required - optional:
            raise self.invalid(name, f"'{name}' is not an allowed attribute.")

    @property
    def fingerprint(self) -> int:
        """A checksum of the attributes without the cursor, equal for all pages of a query."""
        names = self._attributes.keys() - {"page_cursor"}
        attributes = {name: self._attributes[name] for name in names}
        return zlib.crc32(json.dumps(attributes, sort_keys=True).encode())

    def invalid(self, name: str, detail: str) -> ApiError:
        """The error for an invalid attribute."""
        return invalid_body(f"/data/attributes/{name}", detail)

    def raw(self, name: str) -> Any:
        """An attribute, unvalidated; None if it is missing."""
        return self._attributes.get(name)

    def string(self, name: str) -> str:
        """An attribute that must be a non-empty string."""
        value = self.raw(name)
        if not isinstance(value, str) or not value:
            raise self.invalid(name, f"'{name}' must be a string.")
        return value

    def string_in(self, name: str, allowed: Container[str]) -> str:
        """An attribute that must be one of the allowed strings."""
        value = self.string(name)
        if value not in allowed:
            raise self.invalid(name, f"'{value}' is not allowed here.")
        return value

    def strings(self, name: str, allowed: Container[str]) -> tuple[str, ...]:
        """An attribute that must be a non-empty list of distinct allowed strings."""
        values = self.raw(name)
        if not isinstance(values, list) or not values:
            raise self.invalid(name, f"'{name}' must be a list with one value at least.")
        for value in values:
            if not isinstance(value, str) or value not in allowed:
                raise self.invalid(name, f"'{value}' is not allowed here.")
        if len(set(values)) < len(values):
            raise self.invalid(name, f"'{name}' holds a value twice.")
        return tuple(values)

    def conditions(
        self, name: str, text: str, allowed: dict[str, FilterField]
    ) -> tuple[Condition, ...]:
        """The conditions of a filter: at most one per field, with at most 100 values each."""
        try:
            conditions = parse_filter(text, allowed)
        except FilterError as error:
            raise self.invalid(name, str(error)) from error
        if len({condition.field for condition in conditions}) < len(conditions):
            raise self.invalid(name, "Only one filter is allowed for an attribute.")
        for condition in conditions:
            if isinstance(condition.value, tuple) and len(condition.value) > _MAX_LIST_VALUES:
                raise self.invalid(name, f"A list may hold {_MAX_LIST_VALUES} values at most.")
        return conditions


def _object(pointer: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid_body(pointer, "An object is expected here.")
    return value
