"""What a catalog asks for and does not get, as one warning for each sort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tap_klaviyo.discovery.catalog import field_path, places
from tap_klaviyo.discovery.entry_metadata import Metadata
from tap_klaviyo.discovery.schemas import Schema
from tap_klaviyo.errors import did_you_mean
from tap_klaviyo.logs import get_logger, listed, quoted

logger = get_logger(__name__)


@dataclass
class Ignored:
    """Collects what is ignored.

    ``methods`` holds names of streams by the only replication method that they have, ``absent``
    fields that are selected and not read, ``unknown`` those that are deselected and do not exist,
    ``types`` those whose type in the catalog is not that of the tap.
    """

    methods: dict[str, list[str]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    def note_fields(
        self, name: str, metadata: Metadata, whole: Schema, listed_schema: Schema, read: Schema
    ) -> None:
        """Compares an entry of a stream with what is read of it.

        ``whole`` is the schema of the tap, ``listed_schema`` that of the catalog, and ``read`` the
        one that the selection leaves.
        """
        paths = {".".join(field_path(place)) for place in places(whole)}
        for place, chosen in metadata.items():
            path = ".".join(field_path(place))
            if chosen.get("inclusion") == "unsupported":
                continue
            if len(place) == 2 and chosen.get("selected") is True:
                self.absent += [f"{name}.{path}"] if place[1] not in read["properties"] else []
            elif place and chosen.get("selected") is False and path not in paths:
                self.unknown.append(quoted(f"{name}.{path}") + did_you_mean(path, paths))
        self.types += [f"{name}.{path}" for path in _changed_types(read, listed_schema)]

    def warn(self) -> None:
        """Logs a warning for each sort of what is ignored."""
        if self.methods:
            methods = sorted(self.methods.items())
            logger.warning(
                "catalog: replication-method is ignored where a stream has only one: %s.",
                "; ".join(f"{method} for {listed(names)}" for method, names in methods),
            )
        if self.absent:
            logger.warning(
                "catalog: fields that are selected but not read, since they are not in the schema "
                "of the catalog, or no field in them is selected: %s. Run --discover again.",
                listed(map(quoted, self.absent)),
            )
        if self.unknown:
            logger.warning(
                "catalog: fields that are deselected but do not exist: %s.", listed(self.unknown)
            )
        if self.types:
            logger.warning(
                "catalog: types of fields are those of this tap, whatever the catalog says: %s. "
                "Run --discover again.",
                listed(self.types),
            )


def _changed_types(ours: Schema, theirs: Any, path: str = "") -> list[str]:
    """The fields that have another type or format in the catalog; null does not count."""
    if not isinstance(theirs, dict):
        return []
    types = _types(theirs)
    changed = bool(types) and types != _types(ours)
    changed |= theirs.get("format") not in (None, ours.get("format"))
    found = [path] if path and changed else []
    if isinstance(ours.get("items"), dict):
        found += _changed_types(ours["items"], theirs.get("items"), path)
    listed_fields = theirs.get("properties")
    for name, child in ours.get("properties", {}).items():
        if isinstance(listed_fields, dict):
            child_path = f"{path}.{name}" if path else name
            found += _changed_types(child, listed_fields.get(name), child_path)
    return list(dict.fromkeys(found))


def _types(schema: Mapping[str, Any]) -> set[str]:
    """The types that a schema allows, without null."""
    written = schema.get("type")
    types = written if isinstance(written, list) else [written]
    return {one for one in types if isinstance(one, str)} - {"null"}
