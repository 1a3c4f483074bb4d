"""What the user says of reports, and what the account has, make questions."""

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

Ask = Callable[..., list[ReportQuery]]


@pytest.fixture
def ask(configure: Callable[..., Config], select: Callable[..., SelectedStream]) -> Ask:
    """The questions for a stream of an account, of which reports are said in the settings."""

    def make(
        stream: str,
        reports: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **known: Any,
    ) -> list[ReportQuery]:
        tap_metadata = {
            "metrics": METRICS,
            "time_zone": ZoneInfo("Europe/Paris"),
            "revenue_metric": "",
            **known,
        }
        account: Any = SimpleNamespace(**tap_metadata)
        return build_queries(
            select(stream, *without), configure(reports=reports or {}).reports, account
        )

    return make


@pytest.mark.parametrize("stream", [name for name in REPORTS if name != "metric_aggregates"])
def test_default(ask: Ask, stream: str) -> None:
    """A stream of which the user says nothing has one report, of all that is selected."""
    (query,) = ask(stream)
    report = query.report
    assert query.name == "default"
    assert query.interval == ("daily" if report.series else "monthly")
    assert set(query.statistics) == load_schema(report.statistics)["properties"].keys()
    assert query.extra_groups == ()
    assert query.metric_id == ("P" if report.conversion else "")
    assert query.time_zone.key == "Europe/Paris"


def test_default_aggregates(ask: Ask) -> None:
    """Metric aggregates tell of Klaviyo's own metrics that the account has."""
    found = ask("metric_aggregates")
    assert [query.metric_id for query in found] == ["C", "O"]
    assert {query.statistics for query in found} == {("count", "sum_value", "unique")}


def test_own_reports(ask: Ask) -> None:
    """Reports of the user's take the place of the default one, each for its stream."""
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
    weekly, named = ask("flow_series_report", reports)
    assert (weekly.name, weekly.interval, weekly.window.days) == ("weekly", "weekly", 60)
    assert (named.name, named.interval, named.window.days) == ("named", "daily", 30)
    assert named.statistics == ("opens", "clicks")
    assert named.extra_groups == ("flow_name",)
    assert named.filter == 'equals(flow_id,"F")'
    assert named.metric_id == "O"
    assert [query.name for query in ask("flow_values_report", reports)] == ["default"]


def test_own_aggregates(ask: Ask) -> None:
    """The metrics of aggregates are named as the user knows them, by name or id."""
    reports = {"r": {"stream": "metric_aggregates", "metrics": ["Opened Email", "P"]}}
    assert [query.metric_id for query in ask("metric_aggregates", reports)] == ["O", "X", "P"]


def test_what_is_not_selected_is_not_asked_for(ask: Ask) -> None:
    """A statistic that the catalog deselects is left out; without any, Klaviyo still wants one."""
    (query,) = ask("segment_values_report", without=("members_added",))
    assert set(query.statistics) == {"total_members", "members_removed", "net_members_changed"}
    every = tuple(load_schema("segment_statistics")["properties"])
    (query,) = ask("segment_values_report", without=every)
    assert query.statistics == every[:1]


@pytest.mark.parametrize(
    ("known", "metric"),
    [({"revenue_metric": "R"}, "R"), ({"revenue_metric": ""}, "P")],
    ids=["mapped to revenue", "by its name"],
)
def test_conversion_metric(ask: Ask, known: dict[str, Any], metric: str) -> None:
    """Conversions are orders: of the metric mapped to revenue, or of the one that is so named."""
    (query,) = ask("campaign_values_report", **known)
    assert query.metric_id == metric


def test_no_conversion_metric(ask: Ask) -> None:
    """Where nobody can know what a conversion is, the stream says which setting is wanted."""
    with pytest.raises(StreamError, match="Set conversion_metric in 'reports'"):
        ask("campaign_values_report", metrics=Metrics([]))


@pytest.mark.parametrize(
    ("stream", "options", "says"),
    [
        ("flow_values_report", {"statistics": ["open"]}, "statistics: unknown 'open'; expected"),
        ("flow_values_report", {"group_by": ["subject"]}, "group_by: unknown 'subject'; expected"),
        ("flow_values_report", {"group_by": ["start"]}, "group_by: unknown 'start'"),
        ("segment_values_report", {"group_by": ["name"]}, "group_by: unknown 'name'."),
        ("flow_values_report", {"conversion_metric": "Orders"}, "conversion_metric: unknown"),
        ("metric_aggregates", {"metrics": ["O", "Orders"]}, "metrics: unknown 'Orders'"),
    ],
)
def test_mistakes(ask: Ask, stream: str, options: dict[str, Any], says: str) -> None:
    """What cannot be asked is named with the report, the option and what there is."""
    with pytest.raises(ConfigError, match=f"reports.mine.{says}"):
        ask(stream, {"mine": {"stream": stream, **options}})
