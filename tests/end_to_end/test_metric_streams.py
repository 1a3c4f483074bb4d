"""Streams that the user defines: the events of a metric by its name, its id, or name and owner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from sync_runner import NOW, Output, Tap

from sandbox.account import Account
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.discovery.catalog import build_catalog

TapOn = Callable[..., Tap]
AS_IT_COMES: dict[str, Any] = {"lookback_window": 0, "sweep_window": 0}


@pytest.fixture
def shop() -> Account:
    """A small account as of NOW, in which "Opened Email" is the name of three metrics."""
    return Account.seeded(seed=6, events=1200, now=datetime.fromtimestamp(NOW, timezone.utc))


def sync(tap: Tap, streams: dict[str, Any], state: Any = None, now: int = NOW) -> Output:
    """A run that reads the user's streams, and no others."""
    settings = {**tap.settings, "metric_streams": streams}
    catalog = build_catalog(parse_config(settings).metric_streams)
    return tap.sync(state, catalog, now, metric_streams=streams, **AS_IT_COMES)


def metric_id(shop: Account, name: str, integration: str | None) -> str:
    """The id of a metric by its name and owner."""
    (found,) = (
        metric["id"]
        for metric in shop.metrics()
        if (metric["name"], metric["integration"]) == (name, integration)
    )
    return str(found)


@pytest.mark.parametrize(
    ("choice", "names", "integration"),
    [
        ("Placed Order", ["Placed Order"], "Shopify"),
        ("placed order", ["Placed Order"], "Shopify"),
        ({"metric": "Placed Order"}, ["Placed Order"], "Shopify"),
        ({"metric": "Placed Order", "integration": "Shopify"}, ["Placed Order"], "Shopify"),
        ({"metric": "Placed Order", "integration": "shopify"}, ["Placed Order"], "Shopify"),
        ({"metric": "Placed Order", "integration": "Klaviyo"}, [], None),
        ({"metric": "Opened Email", "integration": "Klaviyo"}, ["Opened Email"], "Klaviyo"),
        ({"metric": "Opened Email", "integration": "API"}, ["Opened Email"], "API"),
        ("Opened Email", ["Opened Email"], None),
        ("my_event", ["my_event"], None),
        ("No Such Metric", [], None),
    ],
)
def test_a_metric_by_name(
    tap_on: TapOn, shop: Account, choice: Any, names: list[str], integration: str | None
) -> None:
    """The stream holds the events of the metrics so named, each once, of all owners or of one."""
    output = sync(tap_on(shop), {"mine": choice})
    ids = output.ids["mine"]
    assert output.fault is None
    assert len(ids) == len(set(ids))
    assert set(ids) == set(shop.event_ids(names, integration=integration, end=NOW))
    assert bool(ids) == bool(names)


@pytest.mark.parametrize("form", [lambda id: id, lambda id: {"metric": id}])
def test_a_metric_by_id(tap_on: TapOn, shop: Account, form: Callable[[str], Any]) -> None:
    """An id names one metric, whoever else has one of the same name."""
    identifier = metric_id(shop, "Opened Email", "Shopify")
    output = sync(tap_on(shop), {"mine": form(identifier)})
    assert set(output.ids["mine"]) == set(shop.event_ids_of(identifier, end=NOW))
    assert output.ids["mine"]
    assert output.state["bookmarks"]["mine"]["metrics"] == [identifier]


def test_metrics_of_one_name_are_kept_apart(tap_on: TapOn, shop: Account) -> None:
    """Streams of one name and different owners share nothing, and together are that of the name."""
    owners = {"by_klaviyo": "Klaviyo", "by_shopify": "Shopify", "by_api": "API"}
    streams = {
        name: {"metric": "Opened Email", "integration": owner} for name, owner in owners.items()
    }
    output = sync(tap_on(shop), {**streams, "by_anybody": "Opened Email"})
    for name, owner in owners.items():
        expected = shop.event_ids(["Opened Email"], integration=owner, end=NOW)
        assert sorted(output.ids[name]) == sorted(expected)
        assert output.ids[name]
    together = [identifier for name in owners for identifier in output.ids[name]]
    assert sorted(together) == sorted(output.ids["by_anybody"])


def test_a_second_run_goes_on(tap_on: TapOn, shop: Account) -> None:
    """Each stream has a bookmark of its own name, and the next run brings what came since."""
    tap = tap_on(shop)
    shopify, api = (metric_id(shop, "Opened Email", owner) for owner in ("Shopify", "API"))
    streams = {
        "orders": "Placed Order",
        "opens": {"metric": "Opened Email", "integration": "Shopify"},
        "by_id": api,
    }
    first = sync(tap, streams)
    metrics = {"orders": metric_id(shop, "Placed Order", "Shopify"), "opens": shopify, "by_id": api}
    came = {
        name: {event.id for event in shop.arrive(metric, timestamps=[NOW, NOW + 60], now=NOW + 90)}
        for name, metric in metrics.items()
    }
    shop.arrive("Opened Email", timestamps=[NOW + 60], now=NOW + 90)
    second = sync(tap, streams, first.state, NOW + 100)
    assert first.state["bookmarks"].keys() == streams.keys()
    for name, ids in came.items():
        assert sorted(second.ids[name]) == sorted(ids)
        bookmark = second.state["bookmarks"][name]
        assert (bookmark["timestamp"], bookmark["metrics"]) == (NOW + 100, [metrics[name]])


def test_a_metric_of_the_name_that_comes_later_is_read_whole(tap_on: TapOn, shop: Account) -> None:
    """If another integration begins to use the name, its history joins a stream of the name."""
    tap = tap_on(shop)
    first = sync(tap, {"quizzes": "Quiz Completed"})
    other = metric_id(shop, "Viewed Product", "API")
    shop.change("metric", other, name="Quiz Completed")
    second = sync(tap, {"quizzes": "Quiz Completed"}, first.state, NOW + 100)
    assert first.ids["quizzes"]
    assert set(second.ids["quizzes"]) >= set(shop.event_ids_of(other, end=NOW))
    assert len(second.state["bookmarks"]["quizzes"]["metrics"]) == 2


def test_they_stand_beside_the_other_streams(tap_on: TapOn, shop: Account) -> None:
    """By default a stream of the user's is read with all that is selected by default."""
    output = tap_on(shop).sync(now=NOW, metric_streams={"orders": "Placed Order"})
    assert output.fault is None
    assert sorted(output.ids["orders"]) == sorted(
        shop.event_ids(["Placed Order"], integration="Shopify", end=NOW)
    )
    assert output.ids["open"]
    record = output.records("orders")[0]
    assert record["metric"][0]["name"] == "Placed Order"
    assert record["profile_id"] is None or record["profile"][0]["id"] == record["profile_id"]
