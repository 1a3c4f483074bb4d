"""Reads the metadata of a catalog entry: what it says of the stream and of each field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from tap_klaviyo.discovery.catalog import Breadcrumb
from tap_klaviyo.errors import CatalogError

Metadata: TypeAlias = Mapping[Breadcrumb, Mapping[str, Any]]
"""What is said of each place of an entry."""

SELECTION_KEYS = ("selected", "selected-by-default")
"""The metadata that select a stream or a field; the first that is not null counts."""

TEXT_BOOLEANS = {"true": True, "false": False}
"""What some tools write for a selection."""

LONGEST_VALUE = 100
"""Characters of a wrong value that an error shows."""


def stream_metadata(entry: Mapping[str, Any], metadata: Metadata) -> dict[str, Any]:
    """The metadata of the stream itself. Raises :class:`CatalogError` for no selection."""
    return {**_legacy_selected(entry), **metadata.get((), {})}


def _legacy_selected(entry: Mapping[str, Any]) -> dict[str, Any]:
    """``selected`` on an entry or its schema, where catalogs had it before metadata."""
    for place in (entry, entry.get("schema")):
        if isinstance(place, dict) and place.get("selected") is not None:
            selection = {"selected": place["selected"]}
            _read_selection(entry, selection)
            return selection
    return {}


def read_metadata(entry: Mapping[str, Any]) -> Metadata:
    """The metadata of an entry by breadcrumb; of several items for one place, the last.

    Raises :class:`CatalogError` for what cannot be read: what it selects would be lost.
    """
    try:
        metadata = {
            _breadcrumb(item.get("breadcrumb")): {**(item.get("metadata") or {})}
            for item in entry.get("metadata") or []
        }
    except (AttributeError, TypeError):
        raise CatalogError(
            f"catalog: the metadata of stream '{_shown_name(entry)}' cannot be read."
        ) from None
    for chosen in metadata.values():
        _read_selection(entry, chosen)
    return metadata


def _breadcrumb(written: Any) -> Breadcrumb:
    """The place that metadata is about. Raises TypeError for what is no place."""
    steps = [] if written is None else written
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        raise TypeError(written)
    return tuple(steps)


def _read_selection(entry: Mapping[str, Any], chosen: dict[str, Any]) -> None:
    """Makes ``"true"`` and ``"false"`` booleans.

    Raises :class:`CatalogError` for a selection that is neither true, false nor null.
    """
    for key in SELECTION_KEYS:
        value = chosen.get(key)
        if isinstance(value, str) and value.lower() in TEXT_BOOLEANS:
            chosen[key] = TEXT_BOOLEANS[value.lower()]
        elif value is not None and not isinstance(value, bool):
            raise CatalogError(
                f"catalog: '{key}' of stream '{_shown_name(entry)}' must be true or false, not "
                f"{repr(value)[:LONGEST_VALUE]}."
            )


def _shown_name(entry: Mapping[str, Any]) -> Any:
    return entry.get("stream") or entry.get("tap_stream_id")


def is_selected(metadata: Mapping[str, Any], default: bool) -> bool:
    """Singer's rules: automatic fields, then ``selected``, then ``selected-by-default``."""
    if metadata.get("inclusion") == "automatic":
        return True
    if metadata.get("inclusion") == "unsupported":
        return False
    for key in SELECTION_KEYS:
        if metadata.get(key) is not None:
            return bool(metadata[key])
    return default
