"""The registry's rows of reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tap_klaviyo.streams.model import Report, Stream


def reported(name: str, description: str, scope: str, report: Report, **more: Any) -> Stream:
    """A row for a report, of which the name tells the schema, the path and the type.

    The account is asked for its time zone, in which Klaviyo counts days.
    """
    time = ("date", "interval") if report.series else ("start", "end")
    row: dict[str, Any] = {
        "schema": name,
        "path": f"/api/{name.replace('_', '-')}s",
        "type": name.replace("_", "-"),
        "keys": ("report", *time, *report.groups, *filter(None, [report.further])),
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
    further="groupings_key",
    conversion=True,
)


_OF_FLOWS = replace(_OF_CAMPAIGNS, groups=("flow_id", "flow_message_id", "send_channel"))


_OF_FORMS = Report("form_statistics", ("form_id",), further="groupings_key")


_OF_SEGMENTS = Report("segment_statistics", ("segment_id",), since="2023-06-01")


REPORTS = (
    reported(
        "campaign_values_report",
        "What came of each campaign message, by the month in which it was sent.",
        "campaigns:read",
        _OF_CAMPAIGNS,
    ),
    reported(
        "flow_values_report",
        "What came of each flow message, by the month in which it was sent.",
        "flows:read",
        _OF_FLOWS,
    ),
    reported(
        "flow_series_report",
        "What came of each flow message, by the day on which it was sent.",
        "flows:read",
        replace(_OF_FLOWS, series=True),
    ),
    reported(
        "form_values_report", "What visitors did with each form, by month.", "forms:read", _OF_FORMS
    ),
    reported(
        "form_series_report",
        "What visitors did with each form, by day.",
        "forms:read",
        replace(_OF_FORMS, series=True),
    ),
    reported(
        "segment_values_report",
        "Who joined and left each segment, by month.",
        "segments:read",
        _OF_SEGMENTS,
    ),
    reported(
        "segment_series_report",
        "Who joined and left each segment, by day.",
        "segments:read",
        replace(_OF_SEGMENTS, series=True),
    ),
    reported(
        "metric_aggregates",
        "Events of each of Klaviyo's own metrics, by day.",
        "metrics:read",
        Report(
            "aggregate_statistics",
            ("metric_id",),
            further="dimensions_key",
            series=True,
            aggregates=True,
        ),
        schema="metric_aggregate",
        path="/api/metric-aggregates",
        type="metric-aggregate",
        tier="S",
    ),
)
