"""What a verification has found, as a table for people or as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from tap_klaviyo.logs import listed, quoted
from tap_klaviyo.redaction import clean
from tap_klaviyo.verify.comparison import NOTES, Reason, VerifiedMonth
from tap_klaviyo.verify.missing_rows import TargetComparison
from tap_klaviyo.verify.verification import Verification, VerifiedMetric

HEAD = ("stream", "metric", "month", "now", "last count", "brought", "change", "")
"""The columns: Klaviyo's count now, at the last reading, what that brought, and the difference."""

NUMBERS = range(3, 7)
"""The columns that are aligned to the right."""

SHOWN: frozenset[Reason] = frozenset({"grown", "due", "uncounted", "unread", "short", "fell"})
"""The reasons for which a month has a line of its own; the others are in the totals."""

UNCOUNTED: frozenset[Reason] = frozenset({"uncounted", "unread"})
"""The reasons that are told in one line if they hold for all months of a metric."""

Row = tuple[str, ...]


def rendered(verification: Verification, form: str) -> str:
    """A verification as "text" or "json"."""
    return _FORMS[form](verification)


def conclusion(verification: Verification) -> str:
    """What was found, in one line."""
    sentences = [_of_klaviyo(verification)]
    if verification.target is not None:
        sentences.append(_of_target(verification.target))
    return " ".join(sentences)


def _of_klaviyo(verification: Verification) -> str:
    compared = [metric for metric in verification.metrics if not metric.problem]
    if unread := verification.to_be_read:
        streams = dict.fromkeys(metric.stream for metric in unread)
        events = sum(month.to_be_read for metric in unread for month in metric.months)
        return f"Not all has been read: {events:,} events of {listed(streams)} are for a later run."
    events = sum(month.count for metric in compared for month in metric.months)
    metrics = _plural(len(compared), "metric")
    return f"Nothing is due: {_plural(events, 'event')} of {metrics} compared."


def _of_target(target: TargetComparison) -> str:
    lacking = sum(one.brought - one.held for one in target.missing)
    if not lacking:
        return f"The target holds what was read: {target.events:,} events compared."
    streams = dict.fromkeys(one.days.stream for one in target.missing)
    return (
        f"The target lacks {_plural(lacking, 'event')} of {listed(streams)}: read the days again "
        "with --resync."
    )


def _text(verification: Verification) -> str:
    rows: list[Row] = [HEAD]
    for stream, metrics in groupby(verification.metrics, lambda metric: metric.stream):
        rows += _stream_rows(stream, [*metrics])
    lines = [*_table(rows)] if len(rows) > 1 else []
    lines += [
        clean(f"{metric.stream}, metric {_metric(metric)}: {metric.problem.rstrip('.')}.")
        for metric in verification.metrics
        if metric.problem
    ]
    if counts := verification.profile_counts:
        rows = [("stream", "id", "profiles", "name")]
        rows += [(c.stream, c.id, _number(c.profile_count), clean(c.name)) for c in counts]
        lines += ["", *_table(rows, range(2, 3))]
    if verification.target is not None:
        lines += _target_lines(verification.target)
    by_reason: dict[str, list[str]] = {}
    for stream, reason in verification.not_verified.items():
        by_reason.setdefault(reason, []).append(stream)
    lines += [
        clean(f"Not verified: {', '.join(streams)}. {reason.rstrip('.')}.")
        for reason, streams in by_reason.items()
    ]
    return "\n".join(lines)


def _target_lines(target: TargetComparison) -> list[str]:
    """The days that a target lacks events of, and what could not be compared."""
    lines = []
    if target.missing:
        rows: list[Row] = [("missing in the target", "held", "read")]
        rows += [(str(m.days), _number(m.held), _number(m.brought)) for m in target.missing]
        lines += ["", *_table(rows, range(1, 3))]
    if target.absent:
        streams = ", ".join(target.absent)
        lines.append(f"The counts of the target have no row of these streams: {streams}.")
    if target.not_compared:
        streams = ", ".join(target.not_compared)
        lines.append(f"Not compared with the target, since no day has counts: {streams}.")
    if target.unknown:
        streams = listed(map(quoted, target.unknown))
        lines.append(f"Not compared with the target, since they are not selected: {streams}.")
    return lines


def _stream_rows(stream: str, metrics: Sequence[VerifiedMetric]) -> Iterator[Row]:
    """The months of a stream that need attention, and a line for all."""
    months = [month for metric in metrics for month in metric.months]
    for metric in metrics:
        if metric.months and all(UNCOUNTED & month.reasons.keys() for month in metric.months):
            yield _row(stream, _metric(metric), _months(metric.months), metric.months)
            continue
        for month in metric.months:
            if SHOWN & month.reasons.keys():
                yield _row(stream, _metric(metric), month.month, [month])
    if months:
        until = min(metric.until for metric in metrics if metric.until)
        yield _row(stream, "total", f"{_months(months)} to {until}", months)


def _months(months: Sequence[VerifiedMonth]) -> str:
    return _plural(len({month.month for month in months}), "month")


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _row(stream: str, metric: str, name: str, months: Sequence[VerifiedMonth]) -> Row:
    reasons: Counter[Reason] = Counter()
    for month in months:
        reasons.update(month.reasons)
    change = sum(month.change for month in months)
    return (
        stream,
        clean(metric),
        name,
        _number(sum(month.count for month in months)),
        _number(_sum(month.last_count for month in months)),
        _number(_sum(month.brought for month in months)),
        f"{change:+,}" if change else "",
        "; ".join(f"{number:,} {NOTES[reason]}" for reason, number in reasons.items()),
    )


def _metric(metric: VerifiedMetric) -> str:
    return f"{metric.metric} {metric.name}".strip()


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _number(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _table(rows: Sequence[Row], right: Sequence[int] = NUMBERS) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            f"{cell:>{width}}" if index in right else f"{cell:{width}}"
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _json(verification: Verification) -> str:
    error, target = verification.error, verification.target
    document = {
        "message": conclusion(verification),
        "complete": verification.complete,
        "to_be_read": bool(verification.to_be_read),
        "metrics": [*map(dataclasses.asdict, verification.metrics)],
        "profile_counts": [*map(dataclasses.asdict, verification.profile_counts)],
        "target": target and _target_document(target),
        "not_verified": verification.not_verified,
        "error": str(error) if error else None,
    }
    return json.dumps(document, indent=2)


def _target_document(target: TargetComparison) -> dict[str, object]:
    missing = [{"days": str(m.days), "held": m.held, "brought": m.brought} for m in target.missing]
    return {**dataclasses.asdict(target), "missing": missing}


_FORMS: Mapping[str, Callable[[Verification], str]] = {"text": _text, "json": _json}
