"""What a command was asked to read, by an own reading of its files, and what it left unread.

Nothing here is read with the tap's code: a file that the tap misreads is a difference. The rules
are those of Singer and of docs/selection.md, docs/settings.md and docs/state.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pendulum
from run_output import Message
from simulated_klaviyo import NOW, SimulatedKlaviyo

Key = tuple[str, ...]
Document = Mapping[str, Any]

EVENTS: Mapping[str, tuple[str, ...]] = {
    "open": ("Opened Email",),
    "clicked_sms": ("Clicked SMS", "Clicked Text Message"),
}
"""The metrics of the event streams of the account."""

DATES: Mapping[str, tuple[str, ...]] = {
    "profiles": ("updated",),
    "list_members": ("joined_group_at",),
}
"""The dates by which other streams may be read, as taps name them in states."""

EVENT_DATES = ("timestamp", "datetime")
ALIASES = {"clicked_text_message": "clicked_sms"}
FULL_BY_DEFAULT = ("lists", "list_members")
KEYS: Sequence[Key] = (("id",), ("list_id", "profile_id"), ("report", "start", "form_id"))
"""The keys of the streams; the last property of each tells which one a record has."""

REPORTS = ("form_values_report",)

EXPLANATIONS = (
    r"are empty: .*\b{name} \(",
    r"full_table_interval: not read, not due until .*[(\s]{name}[,)]",
    r"bookmarks in the future.*\b{name}\b",
    r"is missing in the account and keeps its bookmark",
    r"The local clock is \d+ s ",
)
"""Log lines that say why records of a stream are not read."""

LEFT_OUT = r"Stream '{name}': (\d+) records left out"


@dataclass(frozen=True)
class Asked:
    """The records of one stream that the output must hold.

    ``name`` is that of its messages. ``gap`` says that the state leaves a gap after ``start_date``.
    """

    stream: str
    name: str
    keys: set[Key] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    gap: bool = False


def asked_of(files: Mapping[str, Any], klaviyo: SimulatedKlaviyo, now: float = NOW) -> list[Asked]:
    """What each selected stream has to contain, for files that the tap has accepted."""
    config, catalog, state = files["config"], files["catalog"], _state_in(files.get("state"))
    custom = _custom_streams(config)
    window = _Window(config, state, now)
    asked = []
    for entry in catalog["streams"]:
        if not _is_selected(entry):
            continue
        stream, name = _names(entry, custom, klaviyo)
        keys, gap = _keys(stream, entry, custom, window, klaviyo)
        asked.append(Asked(stream, name, keys, set(_fields(entry)), gap))
    return asked


def _state_in(document: Any) -> Document:
    """The state of a file: perhaps in a STATE message, or in what Meltano stores."""
    if not isinstance(document, dict) or "bookmarks" in document:
        return document or {}
    for key in ("value", "singer_state", "state"):
        if isinstance(document.get(key), dict):
            return _state_in(document[key])
    parts = [_state_in(document[key]) for key in ("completed", "partial") if document.get(key)]
    bookmarks = [part.get("bookmarks") or {} for part in parts]
    merged = {name: bookmark for part in bookmarks for name, bookmark in part.items()}
    return {"bookmarks": merged} if parts else document


def unexplained(asked: Iterable[Asked], messages: list[Message], shown: str) -> list[str]:
    """What is missing in the output although no log line names it."""
    written, fields = written_keys(messages), _written_fields(messages)
    wrong = []
    for one in asked:
        missing = one.keys - written.get(one.name, set())
        if missing and not _is_explained(one.name, len(missing), shown):
            wrong.append(f"{one.name}: {len(missing)} of {len(one.keys)} records are not read")
        for name in one.fields - fields.get(one.name, set()):
            if repr(name)[1:-1] not in shown:
                wrong.append(f"{one.name}: field {name!r} is selected and not written")
        if one.gap and not re.search(rf"earlier than before.*\b{re.escape(one.name)}\b", shown):
            wrong.append(f"{one.name}: a gap after start_date is not named")
    return wrong


def written_keys(messages: Iterable[Message]) -> dict[str, set[Key]]:
    """The keys of the records of an output, by the stream's name in messages."""
    found: dict[str, set[Key]] = {}
    for message in messages:
        if message["type"] == "RECORD":
            record = message["record"]
            key = next(key for key in KEYS if key[-1] in record)
            found.setdefault(message["stream"], set()).add(tuple(map(str, map(record.get, key))))
    return found


def _written_fields(messages: Iterable[Message]) -> dict[str, set[str]]:
    return {
        message["stream"]: set(message["schema"]["properties"])
        for message in messages
        if message["type"] == "SCHEMA"
    }


def _is_explained(name: str, missing: int, shown: str) -> bool:
    quoted = re.escape(name)
    counts = re.findall(LEFT_OUT.format(name=quoted), shown)
    if counts and int(counts[-1]) >= missing:
        return True
    return any(re.search(line.format(name=quoted), shown) for line in EXPLANATIONS)


# The catalog ------------------------------------------------------------------------------------


def _metadata(entry: Document, *breadcrumb: str) -> dict[str, Any]:
    """The metadata of a place: the last item that has it counts, as in singer-python's to_map."""
    found: dict[str, Any] = {}
    for item in entry.get("metadata") or []:
        if list(item.get("breadcrumb") or ()) == list(breadcrumb):
            found = item.get("metadata") or {}
    return found


def _is_selected(entry: Document) -> bool:
    """By Singer's rules; "true" and "false" in text are booleans."""
    top = _metadata(entry)
    if top.get("inclusion") in ("automatic", "unsupported"):
        return bool(top["inclusion"] == "automatic")
    schema = entry.get("schema")
    places = (top, entry, schema if isinstance(schema, dict) else {})
    for place in places:
        if place.get("selected") is not None:
            return _is_true(place["selected"])
    return _is_true(top.get("selected-by-default"))


def _is_true(value: Any) -> bool:
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _names(
    entry: Document, custom: Mapping[str, Any], klaviyo: SimulatedKlaviyo
) -> tuple[str, str]:
    """The stream of an entry, and its name in messages."""
    identifier = str(entry.get("tap_stream_id") or entry.get("stream"))
    name = str(entry.get("stream") or identifier)
    known = {*EVENTS, *DATES, *FULL_BY_DEFAULT, *REPORTS, *custom}
    for candidate in (identifier, name):
        if ALIASES.get(candidate, candidate) in known:
            return ALIASES.get(candidate, candidate), name
    for stream, metrics in EVENTS.items():
        if identifier in map(klaviyo.metric_id, metrics):
            return stream, name
    return "", name


def _fields(entry: Document) -> Iterator[str]:
    """The fields that the metadata selects by name."""
    for item in entry.get("metadata") or []:
        breadcrumb = item.get("breadcrumb") or []
        if len(breadcrumb) == 2 and breadcrumb[0] == "properties":
            metadata = _metadata(entry, *breadcrumb)
            if _is_true(metadata.get("selected")) and metadata.get("inclusion") != "unsupported":
                yield breadcrumb[1]


# The settings -----------------------------------------------------------------------------------


def seconds(value: Any) -> float:
    """A date or a number of a file in Unix seconds. Raises ValueError for what is none."""
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}", text, re.ASCII):
            return datetime.strptime(text, "%m/%d/%Y").replace(tzinfo=timezone.utc).timestamp()
        moment: Any = pendulum.parse(text, tz="UTC")
        return float(moment.timestamp())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    return value


def _custom_streams(config: Document) -> dict[str, Any]:
    written = config.get("metric_streams") or {}
    parsed = json.loads(written) if isinstance(written, str) else written
    return dict(parsed)


def _metrics_of(stream: str, custom: Mapping[str, Any], klaviyo: SimulatedKlaviyo) -> Iterator[str]:
    """The IDs of the metrics of an event stream."""
    integration: str | None = "Klaviyo"
    names: tuple[str, ...] = EVENTS.get(stream, ())
    if stream in custom:
        options = custom[stream]
        if isinstance(options, str):
            options = {"metric": options}
        names, integration = (options["metric"],), options.get("integration")
    wanted = {_compared(name) for name in names}
    for metric in klaviyo.account.metrics():
        owner = integration is None or _compared(metric["integration"] or "") == _compared(
            integration
        )
        if owner and (_compared(metric["name"]) in wanted or metric["id"] in names):
            yield metric["id"]


def _compared(name: str) -> str:
    return " ".join(name.split()).casefold()


# The state and the account ----------------------------------------------------------------------


class _Window:
    """The times that the settings and the state ask for."""

    def __init__(self, config: Document, state: Document, now: float) -> None:
        self.start = max(0, int(seconds(config["start_date"])))
        end = config.get("end_date")
        self.end = min(now, now if end is None else int(seconds(end)))
        bookmarks = state.get("bookmarks") if "bookmarks" in state else _flat(state)
        self._bookmarks: Document = bookmarks or {}

    def own(self, stream: str) -> Document:
        """What the state holds for a stream."""
        own: Document = self._bookmarks.get(stream) or {}
        return own

    def mark(self, name: str, dates: Iterable[str]) -> int | None:
        """The bookmark under a name, of any tap."""
        own = self.own(name)
        keys = ["timestamp", "since", *dates]
        if own.get("replication_key") in (None, *dates) and not own.get("partitions"):
            keys.append("replication_key_value")
        found = (own[key] for key in keys if own.get(key) is not None)
        value = next(found, None)
        return None if value is None else max(0, int(seconds(value)))

    def has_gap(self, stream: str) -> bool:
        """Whether the stream was read from a later date than ``start_date`` now."""
        own = self.own(stream)
        read_from = own.get("start_date")
        has_mark = own.get("timestamp") is not None or own.get("since") is not None
        return has_mark and read_from is not None and max(0, seconds(read_from)) > self.start

    def starts(
        self, stream: str, dates: Iterable[str], parts: Iterable[str], names: Iterable[str]
    ) -> dict[str, int]:
        """From when each part of a stream is asked for."""
        own, mark = self.own(stream), self.mark(stream, dates)
        covered = own.get("metrics")
        if mark is None:
            by_name = [m for name in names if (m := self.mark(name, dates)) is not None]
            by_part = {part: m for part in parts if (m := self.mark(part, dates)) is not None}
            marks = [*by_name, *by_part.values()]
            mark = min(marks, default=None)
            covered = None if by_name else list(by_part)
        starts = {}
        for part in parts:
            since = mark
            if mark is not None and covered is not None and part and part not in covered:
                backfill = (own.get("joining") or {}).get(part)
                since = None if backfill is None else max(0, int(seconds(backfill)))
            starts[part] = self.start if since is None else max(self.start, since)
        return starts

    def done(self, stream: str, part: str) -> list[tuple[int, int]]:
        """The periods of a part that an interrupted run has read."""
        own = self.own(stream)
        resume = own.get("resume") or {}
        if not resume or resume["timestamp"] != own.get("timestamp"):
            return []
        return [(start, end) for start, end in resume["done"].get(part, ())]


def _flat(state: Document) -> dict[str, Any]:
    return {name: {"since": v} for name, v in state.items() if v and name != "currently_syncing"}


def _keys(
    stream: str,
    entry: Document,
    custom: Mapping[str, Any],
    window: _Window,
    klaviyo: SimulatedKlaviyo,
) -> tuple[set[Key], bool]:
    """The keys of the records that are asked for, and whether there is a gap before them."""
    rows = dict(_rows(stream, custom, klaviyo))
    method = _metadata(entry).get("replication-method") or entry.get("replication_method")
    if stream in FULL_BY_DEFAULT[:1] or (stream in DATES and not _incremental(stream, method)):
        return {key for part in rows.values() for key in part}, False
    if not rows:
        return set(), False
    dates = DATES.get(stream, EVENT_DATES)
    names = (str(entry.get("tap_stream_id")), str(entry.get("stream")), *_aliases(stream))
    starts = window.starts(stream, dates, list(rows), [n for n in names if n not in rows])
    asked = set()
    for part, found in rows.items():
        done = window.done(stream, part)
        asked |= {
            key
            for key, moment in found.items()
            if starts[part] <= moment < window.end
            and not any(start <= moment < end for start, end in done)
        }
    return asked, window.has_gap(stream)


def _aliases(stream: str) -> Iterator[str]:
    return (alias for alias, name in ALIASES.items() if name == stream)


def _incremental(stream: str, method: Any) -> bool:
    default = "FULL_TABLE" if stream in FULL_BY_DEFAULT else "INCREMENTAL"
    return (method or default) == "INCREMENTAL"


def _rows(
    stream: str, custom: Mapping[str, Any], klaviyo: SimulatedKlaviyo
) -> Iterator[tuple[str, dict[Key, float]]]:
    """The records of the account by part: their keys, and the times that they are read by."""
    account = klaviyo.account
    if stream == "lists":
        yield "", {(identifier,): 0.0 for identifier in account.list_ids()}
    elif stream == "profiles":
        profiles = account.collections["profile"]
        yield "", {(one.id,): seconds(one.attributes["updated"]) for one in profiles}
    elif stream == "list_members":
        yield (
            "",
            {
                (group, profile): seconds(joined)
                for group in account.list_ids()
                for profile, joined in account.members(group).items()
            },
        )
    else:
        times = {event.id: event.timestamp for event in klaviyo.events.values()}
        for metric in _metrics_of(stream, custom, klaviyo):
            yield metric, {(id,): times[id] for id in account.event_ids_of(metric)}
