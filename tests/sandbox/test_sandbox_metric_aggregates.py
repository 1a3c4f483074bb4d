"""Metric aggregates, held against the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from klaviyo_api import KlaviyoAPI
from sandbox_client import Asking

from sandbox import Account

KIND = "metric-aggregate"
URL = "/api/metric-aggregates"
TIME = ["greater-or-equal(datetime,2025-12-01T00:00:00)", "less-than(datetime,2026-11-30T00:00:00)"]


@pytest.fixture
def good(metric_id: str) -> dict[str, Any]:
    """The least that must be asked."""
    return {"metric_id": metric_id, "measurements": ["count"], "filter": TIME}


def _told(ask: Asking, **body: Any) -> dict[str, Any]:
    reply = ask.post(URL, KIND, **body)
    assert reply.status == 200, reply.document
    attributes: dict[str, Any] = reply.document["data"]["attributes"]
    return attributes


def test_days(ask: Asking, account: Account, good: dict[str, Any], metric_id: str) -> None:
    """Without dimensions there is one row, with a number for every day."""
    told = _told(ask, **good)
    (row,) = told["data"]
    assert row["dimensions"] == []
    counts = row["measurements"]["count"]
    assert len(counts) == len(told["dates"]) == 364
    assert told["dates"][0] == "2025-12-01T00:00:00+00:00"
    assert sum(counts) == len(account.event_ids_of(metric_id))
    metric = account.collections["metric"][metric_id]
    days = Counter(account.log.row(at).timestamp // 86_400 for at in account.log.positions(metric))
    assert sorted(filter(None, counts)) == sorted(days.values())


@pytest.mark.parametrize("dimension", ["$message", "$flow", "Email Domain", "Campaign Name"])
def test_dimensions(
    ask: Asking, account: Account, good: dict[str, Any], metric_id: str, dimension: str
) -> None:
    """Events are counted by what they have in common; those that lack it are of none."""
    metric = account.collections["metric"][metric_id]
    counted = Counter(
        account.log.properties(position).get(dimension, "")
        for position in account.log.positions(metric)
    )
    told = _told(ask, **good, by=[dimension], interval="month")
    sums = {row["dimensions"][0]: sum(row["measurements"]["count"]) for row in told["data"]}
    assert sums == dict(counted)
    assert len(sums) > 2


def test_measurements(ask: Asking, account: Account) -> None:
    """Values are summed, and whoever did something twice is counted once."""
    metric = next(m for m in account.log.metrics if m.attributes["name"] == "Placed Order")
    positions = account.log.positions(metric)
    told = _told(
        ask,
        metric_id=metric.id,
        measurements=["count", "sum_value", "unique"],
        filter=TIME,
        by=["$attributed_flow"],
        interval="week",
        timezone="America/New_York",
    )
    assert told["dates"][0] == "2025-12-01T00:00:00-05:00"
    summed = {
        name: sum(sum(row["measurements"][name]) for row in told["data"])
        for name in ("count", "sum_value", "unique")
    }
    worth = [float(account.log.properties(at).get("$value", 0)) for at in positions]
    assert summed["count"] == len(positions)
    assert summed["sum_value"] == pytest.approx(sum(worth))
    assert 0 < summed["unique"] <= summed["count"]
    assert len(told["data"]) == 3


def test_bounds(ask: Asking, account: Account, good: dict[str, Any], metric_id: str) -> None:
    """The first moment counts, the last does not; an offset is heeded."""
    metric = account.collections["metric"][metric_id]
    event = account.log.row(account.log.positions(metric)[0])
    same = sum(
        account.log.row(at).timestamp == event.timestamp for at in account.log.positions(metric)
    )
    times = [
        f"greater-or-equal(datetime,{_iso(event.timestamp)})",
        f"less-than(datetime,{_iso(event.timestamp + 1)})",
    ]
    (row,) = _told(ask, **{**good, "filter": times})["data"]
    assert sum(row["measurements"]["count"]) == same


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone(timedelta(hours=5))).isoformat()


def test_filter(ask: Asking, account: Account, good: dict[str, Any]) -> None:
    """Events can be chosen by what they have in common."""
    told = _told(ask, **{**good, "filter": [*TIME, "equals($message,'FmS0')"]}, by=["$message"])
    assert [row["dimensions"] for row in told["data"]] == [["FmS0"]]


@pytest.mark.parametrize("sort", [None, "$message", "-$message", "count", "-count"])
def test_pages(ask: Asking, good: dict[str, Any], sort: str | None) -> None:
    """Pages hold every row once and in order; the cursor goes into the body."""
    body = {**good, "by": ["$message"], "interval": "month", "page_size": 10, "sort": sort}
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        reply = ask.post(URL, KIND, **body, **({"page_cursor": cursor} if cursor else {}))
        found += reply.document["data"]["attributes"]["data"]
        link = reply.document["links"]["next"]
        if not link:
            break
        assert ask.post(link, KIND, **body).status == 400
        (cursor,) = parse_qs(urlsplit(link).query)["page_cursor"]
    whole = _told(ask, **{**body, "page_size": None})["data"]
    assert found == whole
    assert len(found) > 20
    keys = {
        "$message": [row["dimensions"] for row in found],
        "count": [sum(row["measurements"]["count"]) for row in found],
    }[(sort or "$message").removeprefix("-")]
    assert keys == sorted(keys, reverse=(sort or "").startswith("-"))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"metric_id": "nothing"}, "metric_id"),
        ({"measurements": ["median"]}, "measurements"),
        ({"by": ["$person"]}, "by"),
        ({"interval": "daily"}, "interval"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "Europe/Kyiv"}, "timezone"),
        ({"page_size": 501}, "page_size"),
        ({"page_size": "10"}, "page_size"),
        ({"sort": "$flow"}, "sort"),
        ({"filter": "greater-or-equal(datetime,2026-01-01T00:00:00)"}, "filter"),
        ({"filter": TIME[:1]}, "filter"),
        ({"filter": [*TIME, TIME[0]]}, "filter"),
        ({"filter": [TIME[0], "less-than(datetime,yesterday)"]}, "filter"),
        ({"filter": [TIME[0], "less-than(datetime,2026-12-02T00:00:00)"]}, "filter"),
        ({"filter": [TIME[0], "less-than(datetime,2025-12-01T00:00:00)"]}, "filter"),
        ({"filter": [*TIME, "equals($person,'x')"]}, "filter"),
        ({"filter": [*TIME, "contains($message,'x')"]}, "filter"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_refused(ask: Asking, good: dict[str, Any], changes: dict[str, Any], pointer: str) -> None:
    """What the reference does not allow is refused, and the attribute pointed at."""
    reply = ask.post(URL, KIND, **{**good, **changes})
    assert reply.status == 400, reply.document
    assert reply.error["source"] == {"pointer": f"/data/attributes/{pointer}"}


def test_limits_and_scope(
    account: Account, asking_with: Callable[..., Asking], good: dict[str, Any]
) -> None:
    """Three a second, for a key that may read metrics."""
    ask = asking_with(account, limits=1.0, scopes={"metrics:read"})
    assert [ask.post(URL, KIND, **good).status for _ in range(4)] == [200, 200, 200, 429]
    refused = asking_with(account, scopes={"events:read"}).post(URL, KIND, **good)
    assert refused.status == 403


def test_client(client: KlaviyoAPI, good: dict[str, Any]) -> None:
    """Klaviyo's own client asks and reads the answer."""
    body = {"data": {"type": KIND, "attributes": {**good, "by": ["$message"]}}}
    attributes = client.Metrics.query_metric_aggregates(body).data.attributes
    assert len(attributes.dates) == 364
    assert attributes.data[0].measurements.keys() == {"count"}
