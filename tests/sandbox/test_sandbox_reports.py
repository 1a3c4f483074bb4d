"""Reports, compared with the account's events, members and form visits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from klaviyo_api import KlaviyoAPI
from klaviyo_sdk import method
from sandbox_client import NOW, DecodedResponse, SandboxClient

from sandbox import Account
from sandbox.reports.definitions import REPORTS

YEAR = {"start": "2025-12-01T00:00:00Z", "end": "2026-11-30T00:00:00Z"}
WEEK = {"key": "last_7_days"}
CONVERSIONS = ("conversions", "conversion_value", "conversion_uniques")
COUNTS = {
    "recipients": ["Received Email", "Received Text Message"],
    "opens": ["Opened Email"],
    "clicks": ["Clicked Email", "Clicked Text Message"],
    "bounced": ["Bounced Email"],
    "failed": ["Failed to Deliver Text Message"],
    "unsubscribes": [
        "Unsubscribed from Email Marketing",
        "Unsubscribed from Text Messaging Marketing",
    ],
    "spam_complaints": ["Marked Email as Spam"],
}


@pytest.fixture
def order(account: Account) -> str:
    """The id of the metric Placed Order."""
    return next(one["id"] for one in account.metrics() if one["name"] == "Placed Order")


def _pages(client: SandboxClient, report_type: str, **attributes: Any) -> Iterator[DecodedResponse]:
    """All pages of a report."""
    url = f"/api/{report_type}s"
    while url:
        response = client.post(url, report_type, **attributes)
        assert response.status == 200, response.document
        yield response
        url = response.document["links"]["next"]


def _results(client: SandboxClient, report_type: str, **attributes: Any) -> list[dict[str, Any]]:
    return [
        row
        for page in _pages(client, report_type, **attributes)
        for row in page.document["data"]["attributes"]["results"]
    ]


def _counted(account: Account, names: list[str]) -> Counter[str]:
    """Numbers of events of Klaviyo's metrics by message id."""
    found = Counter[str]()
    for metric in account.collections["metric"]:
        owner = metric.attributes["integration"]
        if owner and owner["name"] == "Klaviyo" and metric.attributes["name"] in names:
            for position in account.log.positions(metric):
                found[account.log.properties(position).get("$message", "")] += 1
    return found


@pytest.mark.parametrize("report_type", ["campaign", "flow"])
def test_messages(client: SandboxClient, account: Account, order: str, report_type: str) -> None:
    """The statistics of each message equal its numbers of events."""
    rows = _results(
        client,
        f"{report_type}-values-report",
        statistics=[*COUNTS, *CONVERSIONS, "delivered"],
        timeframe=YEAR,
        conversion_metric_id=order,
    )
    statistics_by_message = {
        row["groupings"][f"{report_type}_message_id"]: row["statistics"] for row in rows
    }
    assert len(statistics_by_message) == len(rows) >= 4
    for statistic, names in COUNTS.items():
        counted = _counted(account, names)
        known = {message: counted[message] for message in statistics_by_message}
        assert {
            message: one[statistic] for message, one in statistics_by_message.items()
        } == known, statistic
    for one in statistics_by_message.values():
        assert one["delivered"] == one["recipients"] - one["bounced"] - one["failed"]
        assert one["conversion_uniques"] <= one["conversions"]


def test_conversions(client: SandboxClient, account: Account, order: str) -> None:
    """Conversions of all campaigns and flows equal the attributed orders."""
    statistics = [
        row["statistics"]
        for report_type in ("campaign", "flow")
        for row in _results(
            client,
            f"{report_type}-values-report",
            statistics=list(CONVERSIONS),
            timeframe=YEAR,
            conversion_metric_id=order,
        )
    ]
    metric = account.collections["metric"][order]
    payloads = [
        account.log.payloads[account.log.row(position).payload]
        for position in account.log.positions(metric)
    ]
    worth = [float(one.properties["$value"]) for one in payloads if one.message]
    assert sum(one["conversions"] for one in statistics) == len(worth)
    assert sum(one["conversion_value"] for one in statistics) == pytest.approx(sum(worth))


def test_rates(client: SandboxClient, order: str) -> None:
    """Rates are quotients, 0 if the divisor is 0."""
    rows = _results(
        client,
        "campaign-values-report",
        statistics=["opens_unique", "delivered", "open_rate", "clicks_unique", "click_rate",
                    "click_to_open_rate", "bounced", "recipients", "bounce_rate"],
        timeframe=YEAR,
        conversion_metric_id=order,
    )  # fmt: skip
    for one in (row["statistics"] for row in rows):
        for rate, part, whole in (
            ("open_rate", "opens_unique", "delivered"),
            ("click_rate", "clicks_unique", "delivered"),
            ("click_to_open_rate", "clicks_unique", "opens_unique"),
            ("bounce_rate", "bounced", "recipients"),
        ):
            assert one[rate] == pytest.approx(one[part] / one[whole] if one[whole] else 0)
    assert any(row["statistics"]["open_rate"] > 0 for row in rows)


def test_dated_to_send_time(client: SandboxClient, account: Account, order: str) -> None:
    """Statistics are dated to the day of sending, in the account's time zone."""
    body = {"statistics": ["recipients", "opens"], "conversion_metric_id": order}
    whole = _results(client, "campaign-values-report", timeframe=YEAR, **body)
    row = max(whole, key=lambda row: row["statistics"]["recipients"])
    campaign = account.collections["campaign"][row["groupings"]["campaign_id"]]
    day = datetime.fromisoformat(campaign.attributes["send_time"]).date().isoformat()
    frame = {"start": f"{day}T00:00:00+09:00", "end": f"{day}T23:59:59.999999-05:00"}
    assert row in _results(client, "campaign-values-report", timeframe=frame, **body)


@pytest.mark.parametrize(
    ("whole_days", "end", "hours"),
    [
        (True, "2026-11-10T23:59:59Z", 24),
        (True, "2026-11-11T00:00:00Z", 48),
        (True, "2026-11-11T15:00:00Z", 48),
        (False, "2026-11-10T23:59:59Z", 24),
        (False, "2026-11-11T00:00:00Z", 24),
        (False, "2026-11-11T15:00:00Z", 39),
    ],
)
def test_end_of_a_timeframe(
    make_client: Callable[..., SandboxClient],
    mutable_account: Account,
    whole_days: bool,
    end: str,
    hours: int,
) -> None:
    """A timeframe includes the whole days of its start and end, or ends at its time."""
    mutable_account.whole_days = whole_days
    frame = {"start": "2026-11-10T00:00:00Z", "end": end}
    pages = _pages(
        make_client(mutable_account),
        "segment-series-report",
        statistics=["total_members"],
        interval="hourly",
        timeframe=frame,
    )
    assert len(next(pages).document["data"]["attributes"]["date_times"]) == hours


@pytest.mark.parametrize(
    ("report_type", "statistics"),
    [
        ("flow", ["recipients", "opens", "conversions"]),
        ("form", ["viewed_form", "submits"]),
        ("segment", ["members_added", "members_removed", "net_members_changed"]),
    ],
)
@pytest.mark.parametrize(
    ("interval", "key"),
    [("hourly", "last_7_days"), ("daily", "last_30_days"), ("weekly", "last_90_days"),
     ("monthly", "last_3_months")],
)  # fmt: skip
def test_series(
    client: SandboxClient,
    order: str,
    report_type: str,
    statistics: list[str],
    interval: str,
    key: str,
) -> None:
    """The intervals of a series add up to the values report."""
    body: dict[str, Any] = {"statistics": statistics, "timeframe": {"key": key}}
    if report_type == "flow":
        body["conversion_metric_id"] = order
    series = f"{report_type}-series-report"
    length = len(
        next(_pages(client, series, interval=interval, **body)).document["data"]["attributes"][
            "date_times"
        ]
    )
    summed = {
        tuple(row["groupings"].values()): {
            name: sum(values) for name, values in row["statistics"].items()
        }
        for row in _results(client, series, interval=interval, **body)
        if all(len(values) == length for values in row["statistics"].values())
    }
    values = {
        tuple(row["groupings"].values()): row["statistics"]
        for row in _results(client, f"{report_type}-values-report", **body)
    }
    assert summed == values
    assert summed


def test_segments(client: SandboxClient, account: Account) -> None:
    """The totals equal the members of each segment."""
    rows = _results(
        client,
        "segment-values-report",
        statistics=["total_members", "members_added", "members_removed"],
        timeframe=YEAR,
    )
    totals = {row["groupings"]["segment_id"]: row["statistics"]["total_members"] for row in rows}
    assert totals == {id: len(account.members(id)) for id in account.ids("segment")}
    assert any(row["statistics"]["members_removed"] for row in rows)


def test_forms(client: SandboxClient, account: Account) -> None:
    """The statistics of form versions add up to those of the form."""
    body = {"statistics": ["viewed_form", "submits"], "timeframe": YEAR}
    forms = {
        row["groupings"]["form_id"]: row["statistics"]["submits"]
        for row in _results(client, "form-values-report", **body)
    }
    summed = Counter[str]()
    rows = _results(client, "form-values-report", **body, group_by=["form_id", "form_version_id"])
    for row in rows:
        summed[row["groupings"]["form_id"]] += row["statistics"]["submits"]
    assert forms == dict(summed)
    assert len(rows) > len(forms)
    for form in account.collections["form"]:
        visits = [one for version in form.related("form-versions")
                  for one in version.hidden["visits"]]  # fmt: skip
        assert forms.get(form.id, 0) == sum(visit.action == "submit" for visit in visits)


@pytest.mark.parametrize(
    ("report_type", "text", "grouping", "wanted"),
    [
        ("campaign", "equals(send_channel,'sms')", "send_channel", {"sms"}),
        ("campaign", "contains-any(send_channel,['sms','email'])", "send_channel",
         {"sms", "email"}),
        ("flow", "and(equals(flow_message_id,'FmS0'),equals(send_channel,'email'))",
         "flow_message_id", {"FmS0"}),
    ],
)  # fmt: skip
def test_filters(
    client: SandboxClient, order: str, report_type: str, text: str, grouping: str, wanted: set[str]
) -> None:
    """Filters select rows by grouping."""
    rows = _results(
        client,
        f"{report_type}-values-report",
        statistics=["recipients"],
        timeframe=YEAR,
        conversion_metric_id=order,
        filter=text,
    )
    assert {row["groupings"][grouping] for row in rows} == wanted


def test_filter_by_tag(client: SandboxClient, account: Account, order: str) -> None:
    """A filter by tag selects campaigns that have it among others."""
    tag = next(one for one in account.collections["tag"] if one.attributes["name"] == "vip")
    rows = _results(
        client,
        "campaign-values-report",
        statistics=["recipients"],
        timeframe=YEAR,
        conversion_metric_id=order,
        filter=f"contains-all(tag_id,['{tag.id}'])",
        group_by=["campaign_id", "campaign_message_id", "tag_name"],
    )
    assert rows
    assert all("vip" in row["groupings"]["tag_name"] for row in rows)


def test_pages(client: SandboxClient, order: str) -> None:
    """Pages have every row once; a cursor is valid only for its own body."""
    body: dict[str, Any] = {"timeframe": YEAR, "conversion_metric_id": order}
    pages = list(_pages(client, "campaign-values-report", statistics=["opens"], **body))
    rows = [row for page in pages for row in page.document["data"]["attributes"]["results"]]
    messages = [row["groupings"]["campaign_message_id"] for row in rows]
    assert len(pages) > 1
    assert len(messages) == len(set(messages))
    for page in pages:
        pointers = page.document["data"]["relationships"]["campaigns"]["data"]
        results = page.document["data"]["attributes"]["results"]
        assert [one["id"] for one in pointers] == list(
            dict.fromkeys(row["groupings"]["campaign_id"] for row in results)
        )
    again = pages[0].document["links"]["next"]
    refused = client.post(again, "campaign-values-report", statistics=["clicks"], **body)
    assert (refused.status, refused.error["detail"]) == (400, "Invalid cursor provided.")


def test_new_events(make_client: Callable[..., SandboxClient], mutable_account: Account) -> None:
    """New events change the next report."""
    client = make_client(mutable_account)
    order = next(one["id"] for one in mutable_account.metrics() if one["name"] == "Placed Order")
    body: dict[str, Any] = {
        "statistics": ["opens"],
        "timeframe": YEAR,
        "conversion_metric_id": order,
    }

    def opens() -> int:
        return sum(
            row["statistics"]["opens"]
            for report_type in ("campaign", "flow")
            for row in _results(client, f"{report_type}-values-report", **body)
        )

    before = opens()
    mutable_account.arrive("Opened Email", 5, now=NOW.timestamp())
    assert opens() == before + 5


CLIENT: list[tuple[str, str, dict[str, Any]]] = [
    ("Reporting.query_campaign_values", "campaign-values-report", {"conversion": True}),
    ("Reporting.query_flow_series", "flow-series-report", {"conversion": True}),
    ("Reporting.query_flow_values", "flow-values-report", {"conversion": True}),
    ("Reporting.query_form_series", "form-series-report", {}),
    ("Reporting.query_form_values", "form-values-report", {}),
    ("Reporting.query_segment_series", "segment-series-report", {}),
    ("Reporting.query_segment_values", "segment-values-report", {}),
]


@pytest.mark.parametrize(("name", "report_type", "needs"), CLIENT)
def test_sdk(
    sdk: KlaviyoAPI, order: str, name: str, report_type: str, needs: dict[str, Any]
) -> None:
    """Klaviyo's SDK requests all statistics and parses the response."""
    report = next(one for one in REPORTS.values() if one.type == report_type)
    attributes: dict[str, Any] = {"statistics": [*report.statistics], "timeframe": WEEK}
    attributes |= {"interval": "daily"} if "series" in report_type else {}
    attributes |= {"conversion_metric_id": order} if needs else {}
    response = method(sdk, name)({"data": {"type": report_type, "attributes": attributes}})
    assert response.data.type == report_type
    for row in response.data.attributes.results:
        assert row.statistics.keys() == {*report.statistics}
    if "series" in report_type:
        assert len(response.data.attributes.date_times) == 7
