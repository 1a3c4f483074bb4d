"""Validation, rate limits and timeframes of reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sandbox_client import HEADERS, NOW, SandboxClient

from sandbox import Account, Request
from sandbox.reports.definitions import REPORTS
from sandbox.reports.timeframes import Timeframe, timeframe_of_key

ZONE = ZoneInfo("Europe/Amsterdam")
LONG_AGO = {"start": "2023-05-01T00:00:00Z", "end": "2023-07-01T00:00:00Z"}
TYPES = [report.type for report in REPORTS.values()]


@pytest.fixture
def order(account: Account) -> str:
    """The id of the metric Placed Order."""
    return next(one["id"] for one in account.metrics() if one["name"] == "Placed Order")


def _days(start: str, end: str) -> dict[str, str]:
    return {"start": f"{start}T00:00:00Z", "end": f"{end}T00:00:00Z"}


def _good(report_type: str, order: str) -> dict[str, Any]:
    """The smallest valid request of a report."""
    report = next(one for one in REPORTS.values() if one.type == report_type)
    body: dict[str, Any] = {
        "statistics": [next(iter(report.statistics))],
        "timeframe": {"key": "last_7_days"},
    }
    body |= {"interval": "daily"} if report.series else {}
    return body | ({"conversion_metric_id": order} if report.conversion else {})


@pytest.mark.parametrize("report_type", TYPES)
def test_required(client: SandboxClient, order: str, report_type: str) -> None:
    """Every attribute of the smallest request is required, and others are unknown."""
    good = _good(report_type, order)
    assert client.post(f"/api/{report_type}s", report_type, **good).status == 200
    for name in good:
        response = client.post(
            f"/api/{report_type}s", report_type, **{k: v for k, v in good.items() if k != name}
        )
        assert response.status == 400
        assert response.error["source"] == {"pointer": f"/data/attributes/{name}"}
    response = client.post(f"/api/{report_type}s", report_type, **good, colour="red")
    assert response.error["source"] == {"pointer": "/data/attributes/colour"}


@pytest.mark.parametrize(
    ("report_type", "changes", "pointer"),
    [
        ("campaign-values-report", {"statistics": []}, "statistics"),
        ("campaign-values-report", {"statistics": ["opens", "opens"]}, "statistics"),
        ("campaign-values-report", {"statistics": ["viewed_form"]}, "statistics"),
        ("campaign-values-report", {"statistics": "opens"}, "statistics"),
        ("campaign-values-report", {"timeframe": {}}, "timeframe"),
        ("campaign-values-report", {"timeframe": {"key": "last_8_days"}}, "timeframe/key"),
        ("campaign-values-report", {"timeframe": _days("2025-11-01", "2026-11-02")}, "timeframe"),
        ("campaign-values-report", {"timeframe": _days("2026-11-01", "2026-11-01")},
         "timeframe/end"),
        ("campaign-values-report", {"timeframe": {"start": "2026-11-01"}}, "timeframe"),
        ("campaign-values-report",
         {"timeframe": {"start": "2026-11-01", "end": "2026-11-02T00:00:00Z"}},
         "timeframe/start"),
        ("campaign-values-report", {"conversion_metric_id": "nothing"}, "conversion_metric_id"),
        ("campaign-values-report", {"group_by": ["campaign_id"]}, "group_by"),
        ("campaign-values-report", {"group_by": ["flow_id"]}, "group_by"),
        ("campaign-values-report", {"filter": "equals(campaign_id,"}, "filter"),
        ("campaign-values-report", {"filter": "any(campaign_id,['x'])"}, "filter"),
        ("campaign-values-report", {"filter": "equals(tag_id,'x')"}, "filter"),
        ("campaign-values-report", {"filter": "equals(send_channel,'push')"}, "filter"),
        ("campaign-values-report",
         {"filter": "and(equals(campaign_id,'x'),contains-any(campaign_id,['y']))"}, "filter"),
        ("campaign-values-report",
         {"filter": f"contains-any(campaign_id,{json.dumps([str(n) for n in range(101)])})"},
         "filter"),
        ("campaign-values-report", {"interval": "daily"}, "interval"),
        ("flow-values-report", {"group_by": ["flow_id", "send_channel"]}, "group_by"),
        ("flow-series-report", {"interval": "day"}, "interval"),
        ("flow-series-report",
         {"interval": "hourly", "timeframe": _days("2026-11-01", "2026-11-09")}, "timeframe"),
        ("flow-series-report", {"interval": "daily", "timeframe": {"key": "last_90_days"}},
         "timeframe"),
        ("flow-series-report", {"interval": "weekly", "timeframe": {"key": "last_365_days"}},
         "timeframe"),
        ("form-series-report", {"interval": "monthly", "timeframe": {"key": "last_12_months"}},
         "timeframe"),
        ("form-values-report", {"group_by": ["form_version_id"]}, "group_by"),
        ("form-values-report", {"filter": "contains-any(form_id,['x'])"}, "filter"),
        ("segment-values-report", {"group_by": ["segment_id"]}, "group_by"),
        ("segment-values-report", {"timeframe": LONG_AGO}, "timeframe"),
        ("segment-values-report", {"conversion_metric_id": "x"}, "conversion_metric_id"),
    ],
)  # fmt: skip
def test_refused(
    client: SandboxClient, order: str, report_type: str, changes: dict[str, Any], pointer: str
) -> None:
    """Invalid attributes return 400 and the error points to the attribute."""
    response = client.post(
        f"/api/{report_type}s", report_type, **{**_good(report_type, order), **changes}
    )
    assert response.status == 400, response.document
    assert response.error["code"] == "invalid"
    assert response.error["source"] == {"pointer": f"/data/attributes/{pointer}"}


@pytest.mark.parametrize(
    ("report_type", "changes"),
    [
        ("campaign-values-report", {"timeframe": _days("2024-02-29", "2025-02-28")}),
        ("campaign-values-report", {"filter": None, "group_by": None}),
        ("flow-series-report",
         {"interval": "hourly", "timeframe": _days("2026-11-01", "2026-11-08")}),
        ("flow-series-report",
         {"interval": "daily", "timeframe": _days("2026-09-01", "2026-10-31")}),
        ("flow-series-report",
         {"interval": "weekly", "timeframe": _days("2025-11-21", "2026-11-20")}),
        ("form-values-report", {"filter": "any(form_id,['x'])"}),
        ("segment-series-report", {"filter": "equals(segment_id,'x')"}),
    ],
)  # fmt: skip
def test_allowed(
    client: SandboxClient, order: str, report_type: str, changes: dict[str, Any]
) -> None:
    """The longest timeframes and default values are accepted."""
    response = client.post(
        f"/api/{report_type}s", report_type, **{**_good(report_type, order), **changes}
    )
    assert response.status == 200, response.document


@pytest.mark.parametrize(
    ("body", "media", "status", "pointer"),
    [
        (b"", "application/vnd.api+json", 400, "/"),
        (b"[]", "application/vnd.api+json", 400, "/"),
        (b"{}", "application/vnd.api+json", 400, "/data"),
        (b'{"data": {"type": "form-values-report"}}', "application/json", 400, "/data/type"),
        (b'{"data": {"type": "segment-values-report"}}', "application/json", 400,
         "/data/attributes"),
        (b"{}", "text/plain", 415, "/data/"),
        (b"{}", "", 415, "/data/"),
    ],
)  # fmt: skip
def test_bodies(client: SandboxClient, body: bytes, media: str, status: int, pointer: str) -> None:
    """The body must be a document of the right type."""
    headers = {**HEADERS, "Content-Type": media}
    request = Request("POST", "/api/segment-values-reports", "", headers, body)
    response = client.api.handle(request)
    assert response.status == status
    assert json.loads(response.body)["errors"][0]["source"] == {"pointer": pointer}


def test_parameters(client: SandboxClient, order: str) -> None:
    """The query accepts a sparse fieldset and, for paginated reports, a cursor."""
    report_type = "segment-series-report"
    good = _good(report_type, order)
    url = f"/api/{report_type}s?fields[{report_type}]"
    shown = client.post(f"{url}=date_times", report_type, **good).document["data"]["attributes"]
    assert shown.keys() == {"date_times"}
    for query in (f"fields[{report_type}]=colour", "page_cursor=x", "include=segments"):
        response = client.post(f"/api/{report_type}s?{query}", report_type, **good)
        assert response.error["source"] == {"parameter": query.partition("=")[0]}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_methods(client: SandboxClient, method: str) -> None:
    """Reports accept only POST."""
    response = client.api.handle(Request(method, "/api/form-values-reports", "", HEADERS))
    assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("report_type", "scope"),
    [
        ("campaign-values-report", "campaigns:read"),
        ("flow-series-report", "flows:read"),
        ("form-values-report", "forms:read"),
        ("segment-series-report", "segments:read"),
    ],
)
def test_scopes(
    account: Account,
    make_client: Callable[..., SandboxClient],
    order: str,
    report_type: str,
    scope: str,
) -> None:
    """A report requires the scope of its resource type."""
    good = _good(report_type, order)
    assert (
        make_client(account, scopes={scope})
        .post(f"/api/{report_type}s", report_type, **good)
        .status
        == 200
    )
    refused = make_client(account, scopes={"metrics:read"}).post(
        f"/api/{report_type}s", report_type, **good
    )
    assert refused.status == 403
    assert scope in refused.error["detail"]


def test_quota(account: Account, make_client: Callable[..., SandboxClient], order: str) -> None:
    """Each endpoint allows 1 request a second, 2 a minute and 225 a day (UTC)."""
    now = [NOW.timestamp() // 86_400 * 86_400]
    client = make_client(account, limits=1.0, clock=lambda: now[0])
    report_type = "form-values-report"
    good = _good(report_type, order)

    def asked(report_type: str = report_type) -> tuple[int, str | None]:
        response = client.post(f"/api/{report_type}s", report_type, **good)
        return response.status, response.headers.get("Retry-After")

    assert [asked(), asked()] == [(200, None), (429, "1")]
    now[0] += 1
    assert [asked(), asked()] == [(200, None), (429, "59")]
    for _ in range(223):
        now[0] += 60
        assert asked() == (200, None)
    now[0] += 60
    spent = 1 + 224 * 60
    assert asked() == (429, str(86_400 - spent))
    assert asked("segment-values-report")[0] == 400
    now[0] += 86_400 - spent
    assert asked() == (200, None)


def test_scaled_quota(
    account: Account, make_client: Callable[..., SandboxClient], order: str
) -> None:
    """The daily limit is scaled or disabled with the other limits."""
    report_type = "form-values-report"
    for limits, allowed in ((10.0, 10), (None, 30)):
        client = make_client(account, limits=limits)
        responses = [
            client.post(f"/api/{report_type}s", report_type, **_good(report_type, order))
            for _ in range(30)
        ]
        assert sum(response.status == 200 for response in responses) == allowed


@pytest.mark.parametrize(
    ("key", "start", "end"),
    [
        ("today", "2026-11-20T00:00:00", "2026-11-20T13:00:00"),
        ("yesterday", "2026-11-19T00:00:00", "2026-11-20T00:00:00"),
        ("this_week", "2026-11-16T00:00:00", "2026-11-20T13:00:00"),
        ("last_week", "2026-11-09T00:00:00", "2026-11-16T00:00:00"),
        ("this_month", "2026-11-01T00:00:00", "2026-11-20T13:00:00"),
        ("last_month", "2026-10-01T00:00:00", "2026-11-01T00:00:00"),
        ("this_year", "2026-01-01T00:00:00", "2026-11-20T13:00:00"),
        ("last_year", "2025-01-01T00:00:00", "2026-01-01T00:00:00"),
        ("last_7_days", "2026-11-13T00:00:00", "2026-11-20T00:00:00"),
        ("last_30_days", "2026-10-21T00:00:00", "2026-11-20T00:00:00"),
        ("last_90_days", "2026-08-22T00:00:00", "2026-11-20T00:00:00"),
        ("last_365_days", "2025-11-20T00:00:00", "2026-11-20T00:00:00"),
        ("last_3_months", "2026-08-01T00:00:00", "2026-11-01T00:00:00"),
        ("last_12_months", "2025-11-01T00:00:00", "2026-11-01T00:00:00"),
    ],
)
def test_timeframes(key: str, start: str, end: str) -> None:
    """Timeframe keys are resolved in the account's time zone."""
    timeframe = timeframe_of_key(key, NOW.timestamp(), ZONE)
    assert timeframe is not None
    assert (timeframe.start.isoformat(), timeframe.end.isoformat()) == (start, end)


@pytest.mark.parametrize(
    ("interval", "start", "end", "begins"),
    [
        ("hour", "2026-10-25T01:30", "2026-10-25T04:00",
         ["2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00",
          "2026-10-25T03:00:00+01:00"]),
        ("day", "2026-10-24T12:00", "2026-10-26T00:00",
         ["2026-10-24T00:00:00+02:00", "2026-10-25T00:00:00+02:00"]),
        ("week", "2026-10-24T00:00", "2026-10-27T00:00",
         ["2026-10-19T00:00:00+02:00", "2026-10-26T00:00:00+01:00"]),
        ("month", "2026-01-31T00:00", "2026-03-01T00:00",
         ["2026-01-01T00:00:00+01:00", "2026-02-01T00:00:00+01:00"]),
    ],
)  # fmt: skip
def test_intervals(interval: str, start: str, end: str, begins: list[str]) -> None:
    """Intervals cover the timeframe without overlap."""
    timeframe = Timeframe(datetime.fromisoformat(start), datetime.fromisoformat(end), ZONE)
    intervals = timeframe.intervals(interval)
    assert [begin.isoformat() for begin, _, _ in intervals] == begins
    edges = [edge for _, *part in intervals for edge in part]
    assert (edges[0], edges[-1]) == timeframe.unix_seconds()
    assert edges[1:-1:2] == edges[2:-1:2]
