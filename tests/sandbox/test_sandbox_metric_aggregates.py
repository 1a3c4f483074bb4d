"""Metric aggregates, compared with the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from klaviyo_api import KlaviyoAPI
from sandbox_client import SandboxClient

from sandbox import Account

TYPE = "metric-aggregate"
URL = "/api/metric-aggregates"
TIME = ["greater-or-equal(datetime,2025-12-01T00:00:00)", "less-than(datetime,2026-11-30T00:00:00)"]


@pytest.fixture
def good(metric_id: str) -> dict[str, Any]:
    """The smallest valid request."""
    return {"metric_id": metric_id, "measurements": ["count"], "filter": TIME}


def _attributes(client: SandboxClient, **body: Any) -> dict[str, Any]:
    response = client.post(URL, TYPE, **body)
    assert response.status == 200, response.document
    attributes: dict[str, Any] = response.document["data"]["attributes"]
    return attributes


def test_days(
    client: SandboxClient, account: Account, good: dict[str, Any], metric_id: str
) -> None:
    """Without dimensions there is one row with a value per day."""
    attributes = _attributes(client, **good)
    (row,) = attributes["data"]
    assert row["dimensions"] == []
    counts = row["measurements"]["count"]
    assert len(counts) == len(attributes["dates"]) == 364
    assert attributes["dates"][0] == "2025-12-01T00:00:00+00:00"
    assert sum(counts) == len(account.event_ids_of(metric_id))
    metric = account.collections["metric"][metric_id]
    days = Counter(account.log.row(at).timestamp // 86_400 for at in account.log.positions(metric))
    assert sorted(filter(None, counts)) == sorted(days.values())


@pytest.mark.parametrize("dimension", ["$message", "$flow", "Email Domain", "Campaign Name"])
def test_dimensions(
    client: SandboxClient, account: Account, good: dict[str, Any], metric_id: str, dimension: str
) -> None:
    """Events are counted by dimension; missing values count as an empty string."""
    metric = account.collections["metric"][metric_id]
    counted = Counter(
        account.log.properties(position).get(dimension, "")
        for position in account.log.positions(metric)
    )
    attributes = _attributes(client, **good, by=[dimension], interval="month")
    sums = {row["dimensions"][0]: sum(row["measurements"]["count"]) for row in attributes["data"]}
    assert sums == dict(counted)
    assert len(sums) > 2


def test_measurements(client: SandboxClient, account: Account) -> None:
    """`count`, `sum_value` and `unique` by attributed flow."""
    metric = next(m for m in account.log.metrics if m.attributes["name"] == "Placed Order")
    positions = account.log.positions(metric)
    attributes = _attributes(
        client,
        metric_id=metric.id,
        measurements=["count", "sum_value", "unique"],
        filter=TIME,
        by=["$attributed_flow"],
        interval="week",
        timezone="America/New_York",
    )
    assert attributes["dates"][0] == "2025-12-01T00:00:00-05:00"
    summed = {
        name: sum(sum(row["measurements"][name]) for row in attributes["data"])
        for name in ("count", "sum_value", "unique")
    }
    worth = [float(account.log.properties(at).get("$value", 0)) for at in positions]
    assert summed["count"] == len(positions)
    assert summed["sum_value"] == pytest.approx(sum(worth))
    assert 0 < summed["unique"] <= summed["count"]
    assert len(attributes["data"]) == 3


def test_bounds(
    client: SandboxClient, account: Account, good: dict[str, Any], metric_id: str
) -> None:
    """The start is inclusive, the end exclusive; offsets are respected."""
    metric = account.collections["metric"][metric_id]
    event = account.log.row(account.log.positions(metric)[0])
    same = sum(
        account.log.row(at).timestamp == event.timestamp for at in account.log.positions(metric)
    )
    times = [
        f"greater-or-equal(datetime,{_iso(event.timestamp)})",
        f"less-than(datetime,{_iso(event.timestamp + 1)})",
    ]
    (row,) = _attributes(client, **{**good, "filter": times})["data"]
    assert sum(row["measurements"]["count"]) == same


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone(timedelta(hours=5))).isoformat()


def test_filter(client: SandboxClient, account: Account, good: dict[str, Any]) -> None:
    """Events can be filtered by dimension."""
    attributes = _attributes(
        client, **{**good, "filter": [*TIME, "equals($message,'FmS0')"]}, by=["$message"]
    )
    assert [row["dimensions"] for row in attributes["data"]] == [["FmS0"]]


@pytest.mark.parametrize("sort", [None, "$message", "-$message", "count", "-count"])
def test_pages(client: SandboxClient, good: dict[str, Any], sort: str | None) -> None:
    """Pages have every row once and in order; the cursor is sent in the body."""
    body = {**good, "by": ["$message"], "interval": "month", "page_size": 10, "sort": sort}
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        response = client.post(URL, TYPE, **body, **({"page_cursor": cursor} if cursor else {}))
        found += response.document["data"]["attributes"]["data"]
        link = response.document["links"]["next"]
        if not link:
            break
        assert client.post(link, TYPE, **body).status == 400
        (cursor,) = parse_qs(urlsplit(link).query)["page_cursor"]
    whole = _attributes(client, **{**body, "page_size": None})["data"]
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
def test_refused(
    client: SandboxClient, good: dict[str, Any], changes: dict[str, Any], pointer: str
) -> None:
    """Invalid attributes return 400 and the error points to the attribute."""
    response = client.post(URL, TYPE, **{**good, **changes})
    assert response.status == 400, response.document
    assert response.error["source"] == {"pointer": f"/data/attributes/{pointer}"}


def test_limits_and_scope(
    account: Account, make_client: Callable[..., SandboxClient], good: dict[str, Any]
) -> None:
    """The burst limit is three requests; the scope is metrics:read."""
    client = make_client(account, limits=1.0, scopes={"metrics:read"})
    assert [client.post(URL, TYPE, **good).status for _ in range(4)] == [200, 200, 200, 429]
    refused = make_client(account, scopes={"events:read"}).post(URL, TYPE, **good)
    assert refused.status == 403


def test_sdk(sdk: KlaviyoAPI, good: dict[str, Any]) -> None:
    """Klaviyo's SDK sends the request and parses the response."""
    body = {"data": {"type": TYPE, "attributes": {**good, "by": ["$message"]}}}
    attributes = sdk.Metrics.query_metric_aggregates(body).data.attributes
    assert len(attributes.dates) == 364
    assert attributes.data[0].measurements.keys() == {"count"}
