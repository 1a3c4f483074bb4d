"""From what the user says of reports, and what the account has, to questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tap_klaviyo.discovery.schemas import load_schema
from tap_klaviyo.discovery.selection import Selected
from tap_klaviyo.errors import ConfigError, StreamError
from tap_klaviyo.klaviyo.account import Account
from tap_klaviyo.reports.options import ReportOptions
from tap_klaviyo.reports.queries import Question
from tap_klaviyo.streams import DEFAULT
from tap_klaviyo.streams.model import Report

DEFAULT_REPORT = "default"
"""What a report is called that the user says nothing of."""


REVENUE_BY_NAME = "Placed Order"
"""The metric that most shops' integrations have, where none is mapped to revenue."""


def questions(
    selected: Selected, reports: Mapping[str, ReportOptions], account: Account
) -> list[Question]:
    """All that is to be asked for a selected stream of reports.

    These are the ``reports`` of the user's that are of the stream; one by default if there are
    none. Raises :class:`ConfigError` for what the user cannot have meant, :class:`StreamError` for
    what the account lacks, :class:`ApiError` for what Klaviyo does not tell.
    """
    name = selected.stream.name
    own = {report: options for report, options in reports.items() if options.stream == name}
    return [
        question
        for report, options in (own or {DEFAULT_REPORT: ReportOptions(name)}).items()
        for question in _questions(report, options, selected, account)
    ]


def refuse_mistakes(selected: Selected, reports: Mapping[str, ReportOptions]) -> None:
    """Raises :class:`ConfigError` for what needs no account to be seen to be wrong."""
    for name, options in reports.items():
        if options.stream == selected.stream.name:
            _statistics(name, options, selected)
            _further(name, options, selected)


def _questions(
    name: str, options: ReportOptions, selected: Selected, account: Account
) -> Iterable[Question]:
    report = _report(selected)
    for metric_id in _metric_ids(name, options, selected, account):
        yield Question(
            name=name,
            stream=selected.stream,
            interval=options.interval or report.interval,
            statistics=_statistics(name, options, selected),
            further=_further(name, options, selected),
            filter=options.filter,
            metric_id=metric_id,
            window=options.window,
            zone=account.zone,
        )


def _statistics(name: str, options: ReportOptions, selected: Selected) -> tuple[str, ...]:
    """What is wanted and selected; Klaviyo insists on one, even if nobody does."""
    known = _known_statistics(selected)
    _refuse(name, "statistics", options.statistics, known)
    wanted = options.statistics or known
    chosen = tuple(part for part in wanted if part in selected.schema["properties"])
    return chosen or wanted[:1]


def _further(name: str, options: ReportOptions, selected: Selected) -> tuple[str, ...]:
    """What to group by beyond what the stream always is; only Klaviyo knows all for aggregates."""
    report, stream = _report(selected), selected.stream
    if not report.aggregates:
        told = {*stream.keys, *_known_statistics(selected)} - set(report.groups)
        known = [part for part in load_schema(stream.schema)["properties"] if part not in told]
        _refuse(name, "group_by", options.group_by, known)
    return tuple(part for part in options.group_by if part not in report.groups)


def _known_statistics(selected: Selected) -> tuple[str, ...]:
    return tuple(load_schema(_report(selected).statistics)["properties"])


def _report(selected: Selected) -> Report:
    assert selected.stream.report is not None
    return selected.stream.report


def _metric_ids(
    name: str, options: ReportOptions, selected: Selected, account: Account
) -> list[str]:
    """The metric of each question: one that is counted, or whose conversions are, or none."""
    if _report(selected).aggregates:
        return _counted(name, options, account)
    return [_conversion(name, options, account) if _report(selected).conversion else ""]


def _counted(name: str, options: ReportOptions, account: Account) -> list[str]:
    """The metrics that the user names, else those of Klaviyo's own that are streams by default."""
    if not options.metrics:
        streams = (stream for stream in DEFAULT if stream.metrics)
        return [
            identifier
            for stream in streams
            for identifier in account.metrics.ids(stream.metrics, stream.integration)
        ]
    found = {metric: account.metrics.ids([metric], "") for metric in options.metrics}
    _refuse(name, "metrics", options.metrics, [metric for metric, ids in found.items() if ids])
    return list(dict.fromkeys(identifier for ids in found.values() for identifier in ids))


def _conversion(name: str, options: ReportOptions, account: Account) -> str:
    if options.conversion_metric:
        found = account.metrics.ids([options.conversion_metric], "")
        known = [options.conversion_metric] if found else []
        _refuse(name, "conversion_metric", [options.conversion_metric], known)
        return found[0]
    found = [account.revenue] if account.revenue else account.metrics.ids([REVENUE_BY_NAME], "")
    if not found:
        raise StreamError(
            f"The report '{name}' has no metric to count conversions of: the account maps none to "
            f"revenue, and none is named {REVENUE_BY_NAME}. Set conversion_metric in 'reports'."
        )
    return found[0]


def _refuse(name: str, option: str, given: Iterable[str], known: Iterable[str]) -> None:
    """What is ``given`` for an option must be ``known``."""
    if wrong := ", ".join(repr(part) for part in given if part not in known):
        choice = ", ".join(known)
        raise ConfigError(
            f"config: reports.{name}.{option}: there is no {wrong}"
            + (f"; it can be {choice}." if choice else ".")
        )
