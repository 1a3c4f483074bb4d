"""Which metrics an event stream consists of in this run.

A stream is defined by names, while the state holds IDs, since names change and IDs do not. So a
metric that the state holds is read on under any name, and one that the account lacks in this run
keeps its bookmark. Only if the user changes the definition of a stream, in the setting
``metric_streams``, does a metric leave it. The state holds the definition to tell that from a name
that has changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.klaviyo.account import Metrics
from tap_klaviyo.logs import get_logger, listed, quoted
from tap_klaviyo.state import State
from tap_klaviyo.streams import BY_NAME
from tap_klaviyo.streams.model import Stream

logger = get_logger(__name__)


def metrics_of(
    selected: SelectedStream, metrics: Metrics, state: State, empty: list[str]
) -> list[str]:
    """The IDs of the metrics of a stream; none if the account has no metric for it.

    Adds a description of such a stream to ``empty``. Stores the definition of a stream that the
    user has defined, and drops the bookmarks of metrics that left it. All that has changed since
    the last run is one warning.
    """
    stream = selected.stream
    found = metrics.ids(stream.metrics, stream.integration)
    held = _held(selected, metrics, state)
    left = _left(stream, state, held, found, metrics)
    new = [i for i in found if _is_new(stream, i, state)]
    missing = [i for i in held if i not in left and metrics.name(i) is None]
    parts = current_metrics(selected, metrics, state)
    renamed = parts[len(found) :]
    if not parts:
        empty.append(_described_empty(selected, missing))
        return []
    if stream.name not in BY_NAME:
        state.define(stream.name, _definition(stream), without=left)
    _warn_changed(
        selected.name,
        {
            f"does not belong to metric_streams.{stream.name} and is not read on": left,
            "is read on under its new name": renamed,
            "is new and is read from start_date": new,
            "is missing in the account and keeps its bookmark": missing,
        },
        metrics,
    )
    return parts


def current_metrics(selected: SelectedStream, metrics: Metrics, state: State) -> list[str]:
    """The IDs of the metrics of a stream that the account has, those under another name last."""
    stream = selected.stream
    found = metrics.ids(stream.metrics, stream.integration)
    held = _held(selected, metrics, state)
    left = _left(stream, state, held, found, metrics)
    renamed = [i for i in held if i not in (*left, *found) and metrics.name(i) is not None]
    return [*found, *renamed]


def _held(selected: SelectedStream, metrics: Metrics, state: State) -> list[str]:
    """The metrics that the state holds. In a catalog of singer-io's tap, an ID names the stream."""
    stream, identifier = selected.stream, selected.tap_stream_id
    held = state.metric_ids(stream.name)
    known = identifier in state.names and metrics.name(identifier) is not None
    if known and identifier not in held:
        held.append(identifier)
    return held


def _definition(stream: Stream) -> list[str]:
    return [*stream.metrics, *filter(None, [stream.integration])]


def _left(
    stream: Stream, state: State, held: Sequence[str], found: Sequence[str], metrics: Metrics
) -> list[str]:
    """The metrics that left a stream because the user has changed its definition.

    A state of an older version does not hold the definition. Then those leave that the account has
    under another name, if it has a metric for the definition: what is read is what is configured.
    """
    others = [metric_id for metric_id in held if metric_id not in found]
    before = state.definition(stream.name)
    if stream.name in BY_NAME or before == _definition(stream):
        return []
    if before is None:
        return [i for i in others if found and metrics.name(i) is not None]
    return others


def _is_new(stream: Stream, metric_id: str, state: State) -> bool:
    return (
        state.bookmark(stream.name) is not None
        and not state.covers(stream.name, metric_id)
        and state.backfill_bookmark(stream.name, metric_id) is None
    )


def _warn_changed(name: str, changes: dict[str, list[str]], metrics: Metrics) -> None:
    clauses = [
        f"{_described(metric_id, metrics)} {change}"
        for change, metric_ids in changes.items()
        for metric_id in metric_ids
    ]
    if clauses:
        logger.warning("Stream '%s': its metrics have changed: %s.", name, listed(clauses))


def _described(metric_id: str, metrics: Metrics) -> str:
    name = metrics.name(metric_id)
    return metric_id if name is None else f"{metric_id} ({quoted(name)})"


def _described_empty(selected: SelectedStream, missing: Sequence[str]) -> str:
    """``open ('Opened Email')``: a stream and what it lacks."""
    stream = selected.stream
    names = " or ".join(f"'{name}'" for name in stream.metrics)
    owner = f" of the integration {stream.integration.capitalize()}" if stream.integration else ""
    held = f", nor {listed(missing)} of the state" if missing else ""
    return f"{selected.name} ({names}{owner}{held})"


def warn_empty(empty: Sequence[str]) -> None:
    """Warns of streams without a metric, in one line."""
    if empty:
        logger.warning(
            "The account has no metric for these streams, so they are empty: %s. Bookmarks stay.",
            listed(empty),
        )
