"""Reads a catalog: which streams and fields the user has selected, and how to read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from tap_klaviyo.discovery.catalog import REPLICATION_METHODS, Breadcrumb, field_path, places
from tap_klaviyo.discovery.catalog_checks import (
    changed_types,
    misspelt_fields,
    refuse_shared_tables,
)
from tap_klaviyo.discovery.entry_metadata import (
    Metadata,
    is_selected,
    read_metadata,
    stream_metadata,
)
from tap_klaviyo.discovery.schemas import Schema, load_schema, schema_of
from tap_klaviyo.errors import CatalogError, did_you_mean
from tap_klaviyo.logs import get_logger, listed, quoted
from tap_klaviyo.streams import REVISIONS_OF, STREAMS, by_name
from tap_klaviyo.streams.model import ACCOUNT_ID, Stream

logger = get_logger(__name__)


@dataclass(frozen=True)
class SelectedStream:
    """A selected stream.

    ``name`` is the stream's name in messages. ``schema`` holds only the selected properties.
    ``updated`` is an attribute with a date that the run needs too, whether it is selected or not.
    """

    stream: Stream
    name: str
    schema: Schema
    keys: tuple[str, ...]
    replication_method: str
    tap_stream_id: str
    updated: str = ""

    @property
    def incremental(self) -> bool:
        """Whether the stream is read from its bookmark."""
        return self.replication_method == "INCREMENTAL"

    @property
    def own_keys(self) -> tuple[str, ...]:
        """The key properties that come from Klaviyo's records."""
        return self.keys[1:] if self.stream.account_column else self.keys

    @property
    def is_full_table(self) -> bool:
        """Whether a run reads all records, so that what it does not read no longer exists."""
        return not self.incremental

    @property
    def windowed(self) -> bool:
        """Whether the stream is read in windows of time.

        A list that can be read by a bookmark is read in windows only if it is, since some of its
        records may have no date.
        """
        return self.stream.time_filter is not None and (
            self.incremental or not self.stream.replication_key
        )

    @property
    def ends_with_run(self) -> bool:
        """Whether nothing is read of the stream that is later than the start of the run."""
        time_filter = self.stream.time_filter
        return self.windowed and time_filter is not None and not time_filter.is_of_entries


def hidden_parent(stream: Stream) -> SelectedStream:
    """A stream that is read for its IDs only, because its children need them."""
    properties = load_schema(stream.schema)["properties"]
    schema = {"type": "object", "properties": {"id": properties["id"]}}
    return SelectedStream(stream, stream.name, schema, ("id",), "FULL_TABLE", stream.name)


def has_metric_ids(document: Mapping[str, Any], streams: Sequence[Stream] = STREAMS) -> bool:
    """Whether a catalog selects streams by what may be metric IDs, as singer-io's tap names them.

    Raises :class:`CatalogError` for metadata that cannot be read.
    """
    entries, known = document.get("streams"), by_name(streams)
    return isinstance(entries, list) and any(
        isinstance(entry, dict) and _may_be_metric_id(entry, known) for entry in entries
    )


def read_catalog(
    document: Mapping[str, Any],
    metric_names: Mapping[str, str] | None = None,
    streams: Sequence[Stream] = STREAMS,
) -> list[SelectedStream]:
    """The streams that a catalog selects of ``streams``, in the catalog's order.

    In catalogs of singer-io's tap, a ``tap_stream_id`` is a metric ID; ``metric_names`` maps these
    to names of streams. Raises :class:`CatalogError` for what cannot be done as selected. Streams
    whose replication method cannot be chosen are one warning.
    """
    known = by_name(streams)
    entries = document.get("streams")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CatalogError("catalog: 'streams' must be an array of objects.")
    ignored = _Ignored()
    chosen = [_read_entry(entry, metric_names or {}, known, ignored) for entry in entries]
    selected = [selection for selection in chosen if selection is not None]
    seen: set[str] = set()
    for selection in selected:
        if selection.stream.name in seen:
            raise CatalogError(
                f"catalog: stream '{selection.stream.name}' is selected twice; deselect one entry."
            )
        seen.add(selection.stream.name)
    refuse_shared_tables((selection.stream.name, selection.name) for selection in selected)
    ignored.warn()
    return selected


def _may_be_metric_id(entry: Mapping[str, Any], known: Mapping[str, Stream]) -> bool:
    names = {str(entry.get("tap_stream_id")), str(entry.get("stream"))}
    top = stream_metadata(entry, read_metadata(entry))
    return not names & {*known, *REVISIONS_OF} and is_selected(top, default=False)


def _read_entry(
    entry: Mapping[str, Any],
    metric_names: Mapping[str, str],
    known: Mapping[str, Stream],
    ignored: _Ignored,
) -> SelectedStream | None:
    identifier = str(entry.get("tap_stream_id") or entry.get("stream") or "")
    name = str(entry.get("stream") or identifier)
    metadata = read_metadata(entry)
    top = stream_metadata(entry, metadata)
    stream = known.get(identifier) or known.get(name)
    if not is_selected(top, default=stream is not None and stream.selected_by_default):
        return None
    stream = stream or known.get(metric_names.get(identifier, ""))
    if stream is None and (revisions := REVISIONS_OF.get(identifier, REVISIONS_OF.get(name))):
        raise CatalogError(
            f"catalog: stream '{name}' is selected but only revision {' and '.join(revisions)} of "
            "Klaviyo's API has it; set 'revision', or deselect it."
        )
    if stream is None:
        raise CatalogError(
            f"catalog: stream '{name}' is selected but this tap has no such stream"
            f"{did_you_mean(name, known)}; deselect it, or see the streams of "
            "'tap-klaviyo --about'."
        )
    listed = entry.get("schema")
    if not isinstance(listed, dict):
        raise CatalogError(f"catalog: stream '{name}' has no schema; run --discover again.")
    keys = _keys(entry, stream, name)
    optional = {*stream.keys} - {*keys}
    schema = _keyed(schema_of(stream), optional)
    schema = _Selection(name, metadata, {*stream.automatic, *keys}).of(schema, listed)
    ignored.fields += _selected_but_absent(name, metadata, schema)
    ignored.misspelt += misspelt_fields(name, places(schema_of(stream)), metadata)
    typed = {key: child for key, child in schema["properties"].items() if key not in optional}
    ignored.types += changed_types({"properties": typed}, listed, name)
    return SelectedStream(
        stream=stream,
        name=name,
        schema=schema,
        keys=keys,
        replication_method=_replication_method(entry, top, stream, name, ignored.methods),
        tap_stream_id=identifier,
    )


def _selected_but_absent(name: str, metadata: Metadata, schema: Schema) -> list[str]:
    """The fields that the metadata selects, but that ``schema``, which is read, does not have."""
    fields = {place[1]: chosen for place, chosen in metadata.items() if _is_field(place)}
    return [
        f"{name}.{key}"
        for key, chosen in fields.items()
        if chosen.get("selected") is True
        and chosen.get("inclusion") != "unsupported"
        and key not in schema["properties"]
    ]


def _is_field(place: Breadcrumb) -> bool:
    return len(place) == 2 and place[0] == "properties"


def _keys(entry: Mapping[str, Any], stream: Stream, name: str) -> tuple[str, ...]:
    """The catalog's key properties, so that a table that another tap filled keeps its key.

    The setting ``account_column`` alone decides whether the ID of the account is one of them.
    """
    keys = entry.get("key_properties") or [*stream.keys]
    possible = (stream.id_property, *stream.keys, ACCOUNT_ID)
    if not isinstance(keys, list) or not all(key in possible for key in keys):
        raise CatalogError(f"catalog: stream '{name}' cannot be keyed by {keys!r}.")
    if ACCOUNT_ID in stream.keys and not stream.account_column:
        return tuple(keys)
    added = (ACCOUNT_ID,) if stream.account_column else ()
    own = [key for key in keys if key != ACCOUNT_ID]
    return (*added, *own) if own else stream.keys


def _keyed(schema: Schema, optional: Collection[str]) -> Schema:
    """The schema in which the key properties that are ``optional`` may be null."""
    nullable = {
        name: {**child, "type": ["null", child["type"]]}
        for name, child in schema["properties"].items()
        if name in optional
    }
    return {**schema, "properties": {**schema["properties"], **nullable}}


def _replication_method(
    entry: Mapping[str, Any],
    top: Mapping[str, Any],
    stream: Stream,
    name: str,
    overridden: dict[str, list[str]],
) -> str:
    """The method that the user chooses, or the only one that the stream has.

    In the latter case, the stream is added to those whose choice is ``overridden``, by method.
    """
    method = top.get("replication-method") or entry.get("replication_method")
    method = method or stream.replication_method
    if method not in REPLICATION_METHODS:
        possible = " or ".join(stream.replication_methods)
        raise CatalogError(f"catalog: stream '{name}' can be read {possible}, not as {method!r}.")
    if method not in stream.replication_methods:
        method = stream.replication_method
        overridden.setdefault(method, []).append(name)
    return str(method)


@dataclass
class _Ignored:
    """What a catalog asks for and does not get.

    ``methods`` holds names of streams by the only replication method that they have, ``fields``
    those that are selected and not read, ``misspelt`` those that are deselected and do not exist.
    ``types`` holds fields whose type in the schema of the catalog is another one.
    """

    methods: dict[str, list[str]] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    misspelt: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    def warn(self) -> None:
        """Logs a warning for each sort of what is ignored."""
        if self.methods:
            logger.warning(
                "catalog: replication-method is ignored where a stream has only one: %s.",
                "; ".join(
                    f"{method} for {listed(names)}"
                    for method, names in sorted(self.methods.items())
                ),
            )
        if self.fields:
            logger.warning(
                "catalog: fields that are selected but not read, since they are not in the schema "
                "of the catalog, or no field in them is selected: %s. Run --discover again.",
                listed(map(quoted, self.fields)),
            )
        if self.misspelt:
            logger.warning(
                "catalog: fields that are deselected but do not exist: %s. Correct their names, or "
                "what was meant is read.",
                listed(self.misspelt),
            )
        if self.types:
            logger.warning(
                "catalog: types in the schema of the catalog are not used where they differ from "
                "those of the tap: %s. Convert the fields in the target, or run --discover again.",
                listed(map(quoted, self.types)),
            )


@dataclass(frozen=True)
class _Selection:
    """What the metadata of a catalog entry selects of a schema."""

    name: str
    metadata: Metadata
    automatic: set[str]

    def of(self, ours: Schema, theirs: Any, parent: Breadcrumb = ()) -> Schema:
        """Our schema with only the properties that the catalog lists and selects.

        An object that the catalog lists without properties is selected whole.
        """
        theirs = theirs if isinstance(theirs, dict) else {}
        if isinstance(ours.get("items"), dict):
            items = self.of(ours["items"], theirs.get("items"), (*parent, "items"))
            return {**ours, "items": items}
        listed = theirs.get("properties")
        if not isinstance(listed, dict) or not listed or not ours.get("properties"):
            return ours
        self._refuse_unknown(listed.keys(), ours["properties"].keys(), parent)
        wanted = {
            key: self.of(child, listed.get(key), (*parent, "properties", key))
            for key, child in ours["properties"].items()
            if self._wanted(key, listed, parent)
        }
        # An object without selected properties is left out: an empty one would mean all of it.
        properties = {
            key: child
            for key, child in wanted.items()
            if _has_properties(child) == _has_properties(ours["properties"][key])
        }
        return {**ours, "properties": properties}

    def _wanted(self, key: str, listed: Mapping[str, Any], parent: Breadcrumb) -> bool:
        if not parent and key in self.automatic:
            return True
        metadata = self.metadata.get((*parent, "properties", key), {})
        return key in listed and is_selected(metadata, default=True)

    def _refuse_unknown(self, listed: Set[str], known: Set[str], parent: Breadcrumb) -> None:
        for key in sorted(listed - known):
            if (*parent, key) == (ACCOUNT_ID,):
                continue  # The setting account_column was set when the catalog was made.
            place = (*parent, "properties", key)
            if self.metadata.get(place, {}).get("selected") is True:
                path = ".".join(field_path(place))
                raise CatalogError(
                    f"catalog: field '{path}' of stream '{self.name}' is selected but does not "
                    f"exist{did_you_mean(key, known)}; deselect it, or run --discover again."
                )


def _has_properties(schema: Schema) -> bool:
    """Whether an object, or the items of an array, have properties of their own."""
    items = schema.get("items")
    return bool(schema.get("properties")) or (isinstance(items, dict) and _has_properties(items))
