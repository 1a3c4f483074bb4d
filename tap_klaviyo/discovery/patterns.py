"""Selects streams and fields of a catalog by patterns, as ``--select`` and ``--deselect`` do.

A pattern is a stream, or a stream and a field with dots between: ``events``, ``events.profile``,
``events.profile.email``. In each part ``*``, ``?`` and ``[...]`` stand for other characters, as in
names of files. A ``!`` before a pattern makes it deselect.

* ``receive`` selects a stream with the fields that the catalog selects, or selects by default.
* ``receive.profile`` selects a stream with this field, its nested fields and the keys; other fields
  only if other patterns select them. ``receive.*`` selects all fields.
* ``receive,receive.profile`` adds a field to those of the catalog.
* ``!receive`` deselects a stream, ``!receive.profile`` a field. The order of patterns does not
  matter: what one deselects is not selected.

If a pattern selects, streams that none selects are deselected. If all patterns deselect, the
selection of the catalog stays otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tap_klaviyo.discovery.catalog import Breadcrumb, field_path, places
from tap_klaviyo.discovery.entry_metadata import read_metadata
from tap_klaviyo.errors import CatalogError, did_you_mean
from tap_klaviyo.logs import get_logger, listed, quoted

logger = get_logger(__name__)

Path = tuple[str, ...]
"""The names from a field of a stream to a nested one."""


@dataclass(frozen=True)
class Pattern:
    """One pattern: of a stream and, with a ``path``, of its fields."""

    text: str
    deselects: bool
    stream: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises :class:`CatalogError` for a pattern with an empty part."""
        stream, *path = text.removeprefix("!").split(".")
        if not all([stream, *path]):
            raise CatalogError(
                f"select: {quoted(text)} is no pattern such as receive, !receive or events.profile."
            )
        return cls(text, text.startswith("!"), stream, tuple(path))

    def matches_stream(self, names: Iterable[str]) -> bool:
        """Whether the pattern is about a stream with one of ``names``."""
        return any(fnmatchcase(name, self.stream) for name in names)

    def matches_field(self, path: Path) -> bool:
        """Whether the pattern is about a field, or about an object that holds it."""
        matching = map(fnmatchcase, path, self.path)
        return bool(self.path) and len(path) >= len(self.path) and all(matching)


def split_patterns(select: str = "", deselect: str = "") -> list[str]:
    """The patterns in two lists with commas; those of ``deselect`` get a ``!``."""
    selecting = [part.strip() for part in select.split(",") if part.strip()]
    deselecting = [part.strip() for part in deselect.split(",") if part.strip()]
    return [*selecting, *(f"!{part.removeprefix('!')}" for part in deselecting)]


def apply_patterns(catalog: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """A catalog in which ``selected`` of streams and fields is what ``patterns`` say.

    Entries are shared with ``catalog`` where nothing changes. Raises :class:`CatalogError` for a
    pattern that cannot be read or that matches nothing. Keys stay selected, with a warning.
    """
    parsed = [Pattern.parse(text) for text in patterns]
    entries = catalog.get("streams")
    if not parsed or not isinstance(entries, list):
        return {**catalog}
    listed_entries = [_Entry(entry) for entry in entries if isinstance(entry, dict)]
    _refuse_unmatched(parsed, listed_entries)
    default = None if all(pattern.deselects for pattern in parsed) else False
    kept: list[str] = []
    changed = [entry.selected_by(parsed, default, kept) for entry in listed_entries]
    if kept:
        logger.warning(
            "select: keys, replication keys and fields that they need stay selected: %s.",
            listed(kept),
        )
    return {**catalog, "streams": changed}


class _Entry:
    """A catalog entry, its names and its fields by breadcrumb."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self._entry = entry
        self._metadata = dict(read_metadata(entry))
        schema = entry.get("schema")
        crumbs = places(schema) if isinstance(schema, dict) else ()
        self.paths: dict[Breadcrumb, Path] = {crumb: field_path(crumb) for crumb in crumbs}
        self.names = {str(entry[k]) for k in ("tap_stream_id", "stream") if entry.get(k)}

    def selected_by(
        self, patterns: Sequence[Pattern], default: bool | None, kept: list[str]
    ) -> dict[str, Any]:
        """The entry with the selection of ``patterns``.

        A stream that none of them matches is selected by ``default``; None leaves it as it is. Adds
        to ``kept`` what cannot be deselected.
        """
        about = [pattern for pattern in patterns if pattern.matches_stream(self.names)]
        selecting = [pattern for pattern in about if not pattern.deselects]
        deselecting = [pattern for pattern in about if pattern.deselects]
        if any(not pattern.path for pattern in deselecting):
            self._select((), False)
        elif selecting or default is not None:
            self._select((), bool(selecting))
        self._select_fields(selecting)
        self._deselect_fields(deselecting, kept)
        metadata = [{"breadcrumb": list(c), "metadata": m} for c, m in self._metadata.items()]
        return {**self._entry, "metadata": metadata}

    def _select_fields(self, selecting: Sequence[Pattern]) -> None:
        """Selects the fields that patterns match, and the objects that hold them."""
        if not any(pattern.path for pattern in selecting):
            return
        matched = {p for p in self.paths.values() if any(s.matches_field(p) for s in selecting)}
        chosen = {path[:length] for path in matched for length in range(1, len(path) + 1)}
        others_stay = any(not pattern.path for pattern in selecting)
        for crumb, path in self.paths.items():
            if path in chosen or not (others_stay or self._is_automatic(crumb)):
                self._select(crumb, path in chosen)

    def _deselect_fields(self, deselecting: Sequence[Pattern], kept: list[str]) -> None:
        for crumb, path in self.paths.items():
            if not any(pattern.matches_field(path) for pattern in deselecting):
                continue
            if self._is_automatic(crumb):
                kept.append(f"{min(self.names)}.{'.'.join(path)}")
            else:
                self._select(crumb, False)

    def _is_automatic(self, crumb: Breadcrumb) -> bool:
        return self._metadata.get(crumb, {}).get("inclusion") == "automatic"

    def _select(self, crumb: Breadcrumb, selected: bool) -> None:
        self._metadata[crumb] = {**self._metadata.get(crumb, {}), "selected": selected}


def _refuse_unmatched(patterns: Sequence[Pattern], entries: Sequence[_Entry]) -> None:
    """Raises :class:`CatalogError` for patterns that match no stream, or no field of it."""
    wrong = []
    for pattern in patterns:
        streams = [entry for entry in entries if pattern.matches_stream(entry.names)]
        if not streams:
            known = sorted(set().union(*(entry.names for entry in entries)))
            hint = did_you_mean(pattern.stream, known)
            wrong.append(f"{quoted(pattern.text)} matches no stream{hint}")
            continue
        paths = {path for entry in streams for path in entry.paths.values()}
        if pattern.path and not any(map(pattern.matches_field, paths)):
            hint = did_you_mean(".".join(pattern.path), sorted(map(".".join, paths)))
            wrong.append(f"{quoted(pattern.text)} matches no field{hint}")
    if wrong:
        raise CatalogError(f"select: {'; '.join(wrong)}.")
