"""What the user says of reports, and what the account has, make questions."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.schemas import load_schema
from tap_klaviyo.discovery.selection import Selected
from tap_klaviyo.errors import ConfigError, StreamError
from tap_klaviyo.klaviyo.account import Metric, Metrics
from tap_klaviyo.reports.builder import questions
from tap_klaviyo.reports.queries import Question
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

Ask = Callable[..., list[Question]]


@pytest.fixture
def ask(configure: Callable[..., Config], select: Callable[..., Selected]) -> Ask:
    """The questions for a stream of an account, of which reports are said in the settings."""

    def make(
        stream: str,
        reports: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **known: Any,
    ) -> list[Question]:
        facts = {"metrics": METRICS, "zone": ZoneInfo("Europe/Paris"), "revenue": "", **known}
        account: Any = SimpleNamespace(**facts)
        return questions(
            select(stream, *without), configure(reports=reports or {}).reports, account
        )

    return make


@pytest.mark.parametrize("stream", [name for name in REPORTS if name != "metric_aggregates"])
def test_default(ask: Ask, stream: str) -> None:
    """A stream of which the user says nothing has one report, of all that is selected."""
    (question,) = ask(stream)
    report = question.report
    assert question.name == "default"
    assert question.interval == ("daily" if report.series else "monthly")
    assert set(question.statistics) == load_schema(report.statistics)["properties"].keys()
    assert question.further == ()
    assert question.metric_id == ("P" if report.conversion else "")
    assert question.zone.key == "Europe/Paris"


def test_default_aggregates(ask: Ask) -> None:
    """Metric aggregates tell of Klaviyo's own metrics that the account has."""
    found = ask("metric_aggregates")
    assert [question.metric_id for question in found] == ["C", "O"]
    assert {question.statistics for question in found} == {("count", "sum_value", "unique")}


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
    assert named.further == ("flow_name",)
    assert named.filter == 'equals(flow_id,"F")'
    assert named.metric_id == "O"
    assert [question.name for question in ask("flow_values_report", reports)] == ["default"]


def test_own_aggregates(ask: Ask) -> None:
    """The metrics of aggregates are named as the user knows them, by name or id."""
    reports = {"r": {"stream": "metric_aggregates", "metrics": ["Opened Email", "P"]}}
    assert [question.metric_id for question in ask("metric_aggregates", reports)] == ["O", "X", "P"]


def test_what_is_not_selected_is_not_asked_for(ask: Ask) -> None:
    """A statistic that the catalog deselects is left out; without any, Klaviyo still wants one."""
    (question,) = ask("segment_values_report", without=("members_added",))
    assert set(question.statistics) == {"total_members", "members_removed", "net_members_changed"}
    every = tuple(load_schema("segment_statistics")["properties"])
    (question,) = ask("segment_values_report", without=every)
    assert question.statistics == every[:1]


@pytest.mark.parametrize(
    ("known", "metric"),
    [({"revenue": "R"}, "R"), ({"revenue": ""}, "P")],
    ids=["mapped to revenue", "by its name"],
)
def test_conversion_metric(ask: Ask, known: dict[str, Any], metric: str) -> None:
    """Conversions are orders: of the metric mapped to revenue, or of the one that is so named."""
    (question,) = ask("campaign_values_report", **known)
    assert question.metric_id == metric


def test_no_conversion_metric(ask: Ask) -> None:
    """Where nobody can know what a conversion is, the stream says which setting is wanted."""
    with pytest.raises(StreamError, match="Set conversion_metric in 'reports'"):
        ask("campaign_values_report", metrics=Metrics([]))


@pytest.mark.parametrize(
    ("stream", "options", "says"),
    [
        ("flow_values_report", {"statistics": ["open"]}, "statistics: there is no 'open'; it can"),
        ("flow_values_report", {"group_by": ["subject"]}, "group_by: there is no 'subject'; it"),
        ("flow_values_report", {"group_by": ["start"]}, "group_by: there is no 'start'"),
        ("segment_values_report", {"group_by": ["name"]}, "group_by: there is no 'name'."),
        ("flow_values_report", {"conversion_metric": "Orders"}, "conversion_metric: there is no"),
        ("metric_aggregates", {"metrics": ["O", "Orders"]}, "metrics: there is no 'Orders'"),
    ],
)
def test_mistakes(ask: Ask, stream: str, options: dict[str, Any], says: str) -> None:
    """What cannot be asked is named with the report, the option and what there is."""
    with pytest.raises(ConfigError, match=f"reports.mine.{says}"):
        ask(stream, {"mine": {"stream": stream, **options}})
