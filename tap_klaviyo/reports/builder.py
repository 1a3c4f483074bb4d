"""Builds report queries from the settings and what the account has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tap_klaviyo.discovery.schemas import load_schema
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import ConfigError, StreamError, did_you_mean
from tap_klaviyo.klaviyo.account import Account
from tap_klaviyo.reports.options import ReportOptions
from tap_klaviyo.reports.queries import LOCAL_DATE, ReportQuery
from tap_klaviyo.streams import DEFAULT_STREAMS
from tap_klaviyo.streams.model import Report

DEFAULT_REPORT = "default"
"""The name of the report that is read if the user configures none."""

DEFAULT_CONVERSION_METRIC = "Placed Order"
"""The conversion metric if none is mapped to revenue; most shop integrations have it."""


def build_queries(
    selected: SelectedStream, reports: Mapping[str, ReportOptions], account: Account
) -> list[ReportQuery]:
    """The queries of a selected report stream: those configured, else one by default.

    Raises :class:`ConfigError` for options that cannot work, :class:`StreamError` for what the
    account lacks, and what :class:`Account` raises for what cannot be read.
    """
    name = selected.stream.name
    own = {report: options for report, options in reports.items() if options.stream == name}
    return [
        query
        for report, options in (own or {DEFAULT_REPORT: ReportOptions(name)}).items()
        for query in _queries(report, options, selected, account)
    ]


def check_options(selected: SelectedStream, reports: Mapping[str, ReportOptions]) -> None:
    """Raises :class:`ConfigError` for options that cannot work, as far as that takes no request."""
    for name, options in reports.items():
        if options.stream == selected.stream.name:
            _statistics(name, options, selected)
            _extra_groups(name, options, selected)


def _queries(
    name: str, options: ReportOptions, selected: SelectedStream, account: Account
) -> Iterator[ReportQuery]:
    report = _report(selected)
    for metric_id in _metric_ids(name, options, selected, account):
        yield ReportQuery(
            name=name,
            stream=selected.stream,
            interval=options.interval or report.interval,
            statistics=_statistics(name, options, selected),
            extra_groups=_extra_groups(name, options, selected),
            filter=options.filter,
            metric_id=metric_id,
            window=options.window,
            time_zone=account.time_zone,
        )


def _statistics(name: str, options: ReportOptions, selected: SelectedStream) -> tuple[str, ...]:
    """The statistics that are configured and selected; at least one, which Klaviyo requires."""
    known = _known_statistics(selected)
    _check_known(name, "statistics", options.statistics, known)
    wanted = options.statistics or known
    chosen = tuple(part for part in wanted if part in selected.schema["properties"])
    return chosen or wanted[:1]


def _extra_groups(name: str, options: ReportOptions, selected: SelectedStream) -> tuple[str, ...]:
    """The groupings beyond those that all rows have. Those of aggregates only Klaviyo can check."""
    report, stream = _report(selected), selected.stream
    if not report.aggregates:
        not_groups = {*stream.keys, LOCAL_DATE, *_known_statistics(selected)} - set(report.groups)
        properties = load_schema(stream.schema)["properties"]
        known = [part for part in properties if part not in not_groups]
        _check_known(name, "group_by", options.group_by, known)
    return tuple(part for part in options.group_by if part not in report.groups)


def _known_statistics(selected: SelectedStream) -> tuple[str, ...]:
    return tuple(load_schema(_report(selected).statistics)["properties"])


def _report(selected: SelectedStream) -> Report:
    assert selected.stream.report is not None
    return selected.stream.report


def _metric_ids(
    name: str, options: ReportOptions, selected: SelectedStream, account: Account
) -> list[str]:
    """The metric of each query: the one counted, the conversion metric, or the empty text."""
    if _report(selected).aggregates:
        return _counted_metrics(name, options, account)
    return [_conversion_metric(name, options, account) if _report(selected).conversion else ""]


def _counted_metrics(name: str, options: ReportOptions, account: Account) -> list[str]:
    """The configured metrics, else those of the event streams that are selected by default."""
    if not options.metrics:
        return [
            metric_id
            for stream in DEFAULT_STREAMS
            if stream.metrics
            for metric_id in account.metrics.ids(stream.metrics, stream.integration)
        ]
    found = {metric: account.metrics.ids([metric], "") for metric in options.metrics}
    known = [metric for metric, ids in found.items() if ids]
    _check_known(name, "metrics", options.metrics, known)
    return list(dict.fromkeys(metric_id for ids in found.values() for metric_id in ids))


def _conversion_metric(name: str, options: ReportOptions, account: Account) -> str:
    configured = options.conversion_metric
    if configured:
        found = account.metrics.ids([configured], "")
        _check_known(name, "conversion_metric", [configured], [configured] if found else [])
        return found[0]
    revenue = account.revenue_metric
    found = [revenue] if revenue else account.metrics.ids([DEFAULT_CONVERSION_METRIC], "")
    if not found:
        raise StreamError(
            f"The report '{name}' has no conversion metric: the account maps none to revenue, and "
            f"none is named {DEFAULT_CONVERSION_METRIC}. Set conversion_metric in 'reports'."
        )
    return found[0]


def _check_known(name: str, option: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises :class:`ConfigError` if a value ``given`` for an option is not ``known``."""
    known = tuple(known)
    unknown = [f"{value!r}{did_you_mean(value, known)}" for value in given if value not in known]
    if unknown:
        expected = f"; expected {', '.join(known)}" if known else ""
        raise ConfigError(
            f"config: reports.{name}.{option}: unknown {', '.join(unknown)}{expected}."
        )
