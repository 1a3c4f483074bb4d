"""Rows of the registry: Klaviyo's reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tap_klaviyo.streams.model import Report, Stream


def reported(name: str, description: str, scope: str, report: Report, **more: Any) -> Stream:
    """A row for a report. ``name`` gives the schema, the path and the type unless ``more`` does.

    Reports count days in the account's time zone, which takes the scope accounts:read.
    """
    time = ("date", "interval") if report.series else ("start", "end")
    row: dict[str, Any] = {
        "schema": name,
        "path": f"/api/{name.replace('_', '-')}s",
        "type": name.replace("_", "-"),
        "keys": ("report", *time, *report.groups, *filter(None, [report.extra_groups_key])),
        "scopes": (scope, "accounts:read", *(["metrics:read"] if report.conversion else [])),
        "tier": "reports",
        "replication_key": time[0],
        "selected_by_default": False,
        **more,
    }
    return Stream(name, description=description, report=report, **row)


_OF_CAMPAIGNS = Report(
    "message_statistics",
    ("campaign_id", "campaign_message_id", "send_channel"),
    extra_groups_key="groupings_key",
    conversion=True,
)

_OF_FLOWS = replace(_OF_CAMPAIGNS, groups=("flow_id", "flow_message_id", "send_channel"))

_OF_FORMS = Report("form_statistics", ("form_id",), extra_groups_key="groupings_key")

_OF_SEGMENTS = Report("segment_statistics", ("segment_id",), since="2023-06-01")

REPORTS = (
    reported(
        "campaign_values_report",
        "Performance of each campaign message, by the month it was sent.",
        "campaigns:read",
        _OF_CAMPAIGNS,
    ),
    reported(
        "flow_values_report",
        "Performance of each flow message, by the month it was sent.",
        "flows:read",
        _OF_FLOWS,
    ),
    reported(
        "flow_series_report",
        "Performance of each flow message, by the day it was sent.",
        "flows:read",
        replace(_OF_FLOWS, series=True),
    ),
    reported(
        "form_values_report",
        "Views, submissions and closes of each form, by month.",
        "forms:read",
        _OF_FORMS,
    ),
    reported(
        "form_series_report",
        "Views, submissions and closes of each form, by day.",
        "forms:read",
        replace(_OF_FORMS, series=True),
    ),
    reported(
        "segment_values_report",
        "Number of members of each segment, and how many joined and left, by month.",
        "segments:read",
        _OF_SEGMENTS,
    ),
    reported(
        "segment_series_report",
        "Number of members of each segment, and how many joined and left, by day.",
        "segments:read",
        replace(_OF_SEGMENTS, series=True),
    ),
    reported(
        "metric_aggregates",
        "Event statistics of each of Klaviyo's own metrics, by day.",
        "metrics:read",
        Report(
            "aggregate_statistics",
            ("metric_id",),
            extra_groups_key="dimensions_key",
            series=True,
            aggregates=True,
        ),
        schema="metric_aggregate",
        path="/api/metric-aggregates",
        type="metric-aggregate",
        tier="S",
    ),
)
