"""The bodies of reports, read strictly: every refusal points at the part at fault."""

import json
import zlib
from collections.abc import Container
from typing import Any

from sandbox.errors import Refusal, unfit
from sandbox.filters import Condition, Field, FilterError, parse
from sandbox.http_messages import MEDIA_TYPE, Request

_MEDIA_TYPES = frozenset({MEDIA_TYPE, "application/json"})
_MOST_VALUES = 100


class Body:
    """The attributes of a request's body, of which `required` must be there and `optional` may.

    Raises Refusal: 415 for another media type, 400 for what is no document of that `type`.
    """

    def __init__(
        self, request: Request, type: str, required: frozenset[str], optional: frozenset[str]
    ) -> None:
        media, _, _ = (request.header("Content-Type") or "").partition(";")
        if media.strip() not in _MEDIA_TYPES:
            detail = f"Send the body as Content-Type: {MEDIA_TYPE}."
            raise Refusal(415, "unsupported_media_type", "Unsupported media type.", detail)
        try:
            document = json.loads(request.body)
        except ValueError as error:
            raise unfit("/", "The body is not JSON.") from error
        data = _object("/data", _object("/", document).get("data"))
        if data.get("type") != type:
            raise unfit("/data/type", f"The type must be '{type}'.")
        self._attributes = _object("/data/attributes", data.get("attributes"))
        for name in sorted(required - self._attributes.keys()):
            raise self.unfit(name, f"'{name}' is required.")
        for name in self._attributes.keys() - required - optional:
            raise self.unfit(name, f"'{name}' is not an allowed attribute.")

    @property
    def fingerprint(self) -> int:
        """A number for what is asked, on whichever page."""
        asked = {name: self._attributes[name] for name in self._attributes.keys() - {"page_cursor"}}
        return zlib.crc32(json.dumps(asked, sort_keys=True).encode())

    def unfit(self, name: str, detail: str) -> Refusal:
        """The refusal of an attribute."""
        return unfit(f"/data/attributes/{name}", detail)

    def raw(self, name: str) -> Any:
        """An attribute as it is, None if there is none."""
        return self._attributes.get(name)

    def text(self, name: str) -> str:
        """An attribute that must be a string with something in it."""
        value = self.raw(name)
        if not isinstance(value, str) or not value:
            raise self.unfit(name, f"'{name}' must be a string.")
        return value

    def word(self, name: str, allowed: Container[str]) -> str:
        """An attribute that must be one of the allowed strings."""
        value = self.text(name)
        if value not in allowed:
            raise self.unfit(name, f"'{value}' is not allowed here.")
        return value

    def words(self, name: str, allowed: Container[str]) -> tuple[str, ...]:
        """An attribute that must be a list of different allowed strings, one at least."""
        values = self.raw(name)
        if not isinstance(values, list) or not values:
            raise self.unfit(name, f"'{name}' must be a list with one value at least.")
        for value in values:
            if not isinstance(value, str) or value not in allowed:
                raise self.unfit(name, f"'{value}' is not allowed here.")
        if len(set(values)) < len(values):
            raise self.unfit(name, f"'{name}' holds a value twice.")
        return tuple(values)

    def conditions(self, name: str, text: str, allowed: dict[str, Field]) -> tuple[Condition, ...]:
        """A filter, with one condition an attribute and a hundred values a condition at most."""
        try:
            conditions = parse(text, allowed)
        except FilterError as error:
            raise self.unfit(name, str(error)) from error
        if len({condition.field for condition in conditions}) < len(conditions):
            raise self.unfit(name, "Only one filter is allowed for an attribute.")
        for condition in conditions:
            if isinstance(condition.value, tuple) and len(condition.value) > _MOST_VALUES:
                raise self.unfit(name, f"A list may hold {_MOST_VALUES} values at most.")
        return conditions


def _object(pointer: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise unfit(pointer, "An object is expected here.")
    return value
