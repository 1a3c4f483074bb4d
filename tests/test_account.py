"""Account data: metrics by name, the time zone and the revenue metric."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import responses

from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import RetryableError, StreamError
from tap_klaviyo.klaviyo.account import Account, Metric, Metrics, read_metrics
from tap_klaviyo.streams import BY_NAME

URL = "https://a.klaviyo.com/api/metrics"
OWN = {"object": "integration", "id": "K", "name": "Klaviyo", "category": "Internal"}
Configure = Callable[..., Config]


def metric(identifier: str, name: Any, integration: Any = OWN) -> dict[str, Any]:
    """A metric as the API returns it."""
    return {
        "type": "metric",
        "id": identifier,
        "attributes": {"name": name, "integration": integration},
    }


def page(*data: Any, following: str | None = None) -> dict[str, Any]:
    """A page of metrics."""
    return {"data": list(data), "links": {"next": following}}


@responses.activate
def test_every_page(configure: Configure) -> None:
    """All pages are read; metrics are distinguished by name and integration."""
    shop = {**OWN, "name": "Shopify"}
    first = page(
        metric("A", "Opened Email"), metric("B", "Opened Email", shop), following=URL + "?p"
    )
    second = page(
        metric("C", "opened  EMAIL "), metric("D", "Opened Email", None), metric("E", None)
    )
    responses.get(URL, json=second, match=[responses.matchers.query_param_matcher({"p": ""})])
    responses.get(URL, json=first)
    metrics = read_metrics(client_for(configure()))
    assert metrics.ids(["Opened Email"], "klaviyo") == ["A", "C"]
    assert metrics.ids(["Clicked Email"], "klaviyo") == []
    assert len(responses.calls) == 2


@pytest.mark.parametrize(
    "integration", [None, "Klaviyo", {}, {"name": None}, {"name": "Klaviyo Partner"}, []]
)
@responses.activate
def test_invalid_integrations(configure: Configure, integration: Any) -> None:
    """A metric is Klaviyo's own only if its integration is named Klaviyo."""
    responses.get(URL, json=page(metric("A", "Opened Email", integration)))
    assert read_metrics(client_for(configure())).ids(["Opened Email"], "klaviyo") == []


def test_union_of_names() -> None:
    """A renamed metric is found by its old name, its new name, or both."""
    metrics = Metrics(
        [
            Metric("A", "Clicked Text Message", integration="Klaviyo"),
            Metric("B", "Clicked SMS", integration="Klaviyo"),
            Metric("C", "Clicked Text Message", integration="Klaviyo"),
            Metric("D", "Clicked SMS", integration="Shopify"),
        ]
    )
    assert sorted(metrics.ids(BY_NAME["clicked_sms"].metrics, "klaviyo")) == ["A", "B", "C"]


def test_stream_names() -> None:
    """Klaviyo's own metrics are mapped to their streams."""
    metrics = Metrics(
        [
            Metric("A", "Opened Email", integration="Klaviyo"),
            Metric("B", "Subscribed to SMS Marketing", integration="Klaviyo"),
            Metric("C", "Placed Order", integration="Klaviyo"),
            Metric("D", "Clicked Email", integration="Shopify"),
        ]
    )
    assert metrics.stream_names() == {"A": "open", "B": "consented_to_receive"}


@pytest.mark.parametrize(
    "body",
    [[], {}, {"data": None}, {"data": [{}]}, {"data": [1]}, 1, "x", {"data": ""}, {"data": {}}]
    + [{"data": [], "links": links} for links in ([], "", 0, False, "next", {"next": []})]
    + [page(metric(identifier, "Opened Email")) for identifier in (None, "", True, {}, [])],
)
@responses.activate
def test_no_list_of_metrics(configure: Configure, clock: Any, body: Any) -> None:
    """An answer that is not a list of metrics is requested again until the time is used up."""
    responses.get(URL, body=json.dumps(body))
    client = client_for(configure(), clock=clock.time, sleep=clock.sleep)
    with pytest.raises(RetryableError, match="not a list of resources"):
        read_metrics(client)
    assert len(responses.calls) > 1


def account_of(configure: Configure) -> Account:
    """An account without cached data."""
    return Account(client_for(configure()))


@responses.activate
def test_account_data_is_requested_once(configure: Configure) -> None:
    """Account data is requested on first use and then cached."""
    zone = {"type": "account", "id": "A", "attributes": {"timezone": "Europe/Paris"}}
    responses.get("https://a.klaviyo.com/api/accounts", json=page(zone))
    account = account_of(configure)
    assert not responses.calls
    assert account.time_zone.key == account.time_zone.key == "Europe/Paris"
    assert len(responses.calls) == 1


@responses.activate
def test_a_refusal_is_remembered(configure: Configure) -> None:
    """A refused request is not repeated; each use raises the error."""
    responses.get("https://a.klaviyo.com/api/accounts", json={}, status=403)
    account = account_of(configure)
    for _ in range(2):
        with pytest.raises(StreamError, match="accounts:read"):
            _ = account.time_zone
    assert len(responses.calls) == 1


@responses.activate
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "has no time zone set"),
        ("", "has no time zone set"),
        ("Mars/Olympus_Mons", "time zone 'Mars/Olympus_Mons' is unknown to Python's zoneinfo"),
        ("Europe", "time zone 'Europe' is unknown to Python's zoneinfo"),
        ("../etc", "time zone '../etc' is unknown"),
        ("a\0b", r"time zone 'a\x00b' is unknown"),
        ("x" * 9_000, f"time zone '{'x' * 100}' is unknown"),
        (7, "time zone '7' is unknown"),
    ],
)
def test_an_invalid_time_zone(configure: Configure, name: Any, expected: str) -> None:
    """A time zone that Python does not know is quoted with what to do; a missing one is not."""
    account = {"type": "account", "id": "A", "attributes": {"timezone": name}}
    responses.get("https://a.klaviyo.com/api/accounts", json=page(account))
    with pytest.raises(StreamError) as caught:
        _ = account_of(configure).time_zone
    assert expected in str(caught.value)
    assert "Klaviyo > Settings > Organization." in str(caught.value)
    assert ("tzdata" in str(caught.value)) is bool(name)


@responses.activate
def test_an_account_without_a_time_zone(configure: Configure) -> None:
    """An empty list of accounts is an error about the time zone."""
    responses.get("https://a.klaviyo.com/api/accounts", json=page())
    with pytest.raises(StreamError, match="time zone"):
        _ = account_of(configure).time_zone


@pytest.mark.parametrize(
    ("related", "metric"),
    [
        ({"metric": {"data": {"type": "metric", "id": "M"}}}, "M"),
        ({"metric": {"data": None}, "custom-metric": {"data": {"id": "C"}}}, ""),
        ({}, ""),
    ],
    ids=["a metric", "a custom metric", "none"],
)
@responses.activate
def test_revenue_metric(configure: Configure, related: Any, metric: str) -> None:
    """The revenue metric is the mapped metric; a custom metric is ignored."""
    mapped = [
        {"type": "mapped-metric", "id": "ordered_product", "relationships": {}},
        {"type": "mapped-metric", "id": "revenue", "relationships": related},
    ]
    responses.get("https://a.klaviyo.com/api/mapped-metrics", json=page(*mapped))
    assert account_of(configure).revenue_metric == metric
