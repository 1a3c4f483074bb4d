"""Building report queries from settings and account data."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.schemas import load_schema
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import ConfigError, StreamError
from tap_klaviyo.klaviyo.account import Metric, Metrics
from tap_klaviyo.reports.builder import build_queries
from tap_klaviyo.reports.queries import ReportQuery
from tap_klaviyo.streams import STREAMS

METRICS = Metrics(
    [
        Metric("O", "Opened Email", "Klaviyo"),
        Metric("X", "Opened Email", "Other"),
        Metric("C", "Clicked Email", "Klaviyo"),
        Metric("P", "Placed Order", "Shopify"),
    ]
)
REPORTS = [stream.name for stream in STREAMS if stream.report]

BuildQueries = Callable[..., list[ReportQuery]]


@pytest.fixture
def queries_for(
    configure: Callable[..., Config], select: Callable[..., SelectedStream]
) -> BuildQueries:
    """Builds the report queries of a stream from ``reports`` settings and account data."""

    def make(
        stream: str,
        reports: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **known: Any,
    ) -> list[ReportQuery]:
        account_data = {
            "metrics": METRICS,
            "time_zone": ZoneInfo("Europe/Paris"),
            "revenue_metric": "",
            **known,
        }
        account: Any = SimpleNamespace(**account_data)
        return build_queries(
            select(stream, *without), configure(reports=reports or {}).reports, account
        )

    return make


@pytest.mark.parametrize("stream", [name for name in REPORTS if name != "metric_aggregates"])
def test_default(queries_for: BuildQueries, stream: str) -> None:
    """A stream without configured reports has one default report with all selected statistics."""
    (query,) = queries_for(stream)
    report = query.report
    assert query.name == "default"
    assert query.interval == ("daily" if report.series else "monthly")
    assert set(query.statistics) == load_schema(report.statistics)["properties"].keys()
    assert query.extra_groups == ()
    assert query.metric_id == ("P" if report.conversion else "")
    assert query.time_zone.key == "Europe/Paris"


def test_default_aggregates(queries_for: BuildQueries) -> None:
    """The default metric aggregates cover Klaviyo's own metrics of the account."""
    found = queries_for("metric_aggregates")
    assert [query.metric_id for query in found] == ["C", "O"]
    assert {query.statistics for query in found} == {("count", "sum_value", "unique")}


def test_own_reports(queries_for: BuildQueries) -> None:
    """Configured reports replace the default report of their stream."""
    reports = {
        "weekly": {"stream": "flow_series_report", "interval": "weekly", "window": "P60D"},
        "named": {
            "stream": "flow_series_report",
            "statistics": ["opens", "clicks"],
            "group_by": ["flow_id", "flow_name"],
            "filter": 'equals(flow_id,"F")',
            "conversion_metric": "opened email",
        },
    }
    weekly, named = queries_for("flow_series_report", reports)
    assert (weekly.name, weekly.interval, weekly.window.days) == ("weekly", "weekly", 60)
    assert (named.name, named.interval, named.window.days) == ("named", "daily", 30)
    assert named.statistics == ("opens", "clicks")
    assert named.extra_groups == ("flow_name",)
    assert named.filter == 'equals(flow_id,"F")'
    assert named.metric_id == "O"
    assert [query.name for query in queries_for("flow_values_report", reports)] == ["default"]


def test_own_aggregates(queries_for: BuildQueries) -> None:
    """Metrics of aggregates are configured by name or id."""
    reports = {"r": {"stream": "metric_aggregates", "metrics": ["Opened Email", "P"]}}
    assert [query.metric_id for query in queries_for("metric_aggregates", reports)] == [
        "O",
        "X",
        "P",
    ]


def test_deselected_statistics_are_not_requested(queries_for: BuildQueries) -> None:
    """A deselected statistic is not requested; if all are deselected the first one is."""
    (query,) = queries_for("segment_values_report", without=("members_added",))
    assert set(query.statistics) == {"total_members", "members_removed", "net_members_changed"}
    every = tuple(load_schema("segment_statistics")["properties"])
    (query,) = queries_for("segment_values_report", without=every)
    assert query.statistics == every[:1]


@pytest.mark.parametrize(
    ("known", "metric"),
    [({"revenue_metric": "R"}, "R"), ({"revenue_metric": ""}, "P")],
    ids=["mapped to revenue", "by its name"],
)
def test_conversion_metric(queries_for: BuildQueries, known: dict[str, Any], metric: str) -> None:
    """The conversion metric is the one mapped to revenue, otherwise "Placed Order"."""
    (query,) = queries_for("campaign_values_report", **known)
    assert query.metric_id == metric


def test_no_conversion_metric(queries_for: BuildQueries) -> None:
    """A stream without a conversion metric fails and names the missing setting."""
    with pytest.raises(StreamError, match="Set conversion_metric in 'reports'"):
        queries_for("campaign_values_report", metrics=Metrics([]))


@pytest.mark.parametrize(
    ("stream", "options", "expected"),
    [
        (
            "flow_values_report",
            {"statistics": ["open"]},
            r"statistics: unknown 'open' \(did you mean 'opens'\?\); expected",
        ),
        ("flow_values_report", {"group_by": ["subject"]}, "group_by: unknown 'subject'; expected"),
        ("flow_values_report", {"group_by": ["start"]}, "group_by: unknown 'start'"),
        ("form_series_report", {"group_by": ["local_date"]}, "group_by: unknown 'local_date'"),
        ("segment_values_report", {"group_by": ["name"]}, "group_by: unknown 'name'."),
        ("flow_values_report", {"conversion_metric": "Orders"}, "conversion_metric: unknown"),
        ("metric_aggregates", {"metrics": ["O", "Orders"]}, "metrics: unknown 'Orders'"),
    ],
)
def test_invalid_reports(
    queries_for: BuildQueries, stream: str, options: dict[str, Any], expected: str
) -> None:
    """An invalid option is reported with the report, the option and the known values."""
    with pytest.raises(ConfigError, match=f"reports.mine.{expected}"):
        queries_for(stream, {"mine": {"stream": stream, **options}})
