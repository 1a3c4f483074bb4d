"""User-defined streams: the events of a metric by name, id, or name and integration."""

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
NO_REREAD: dict[str, Any] = {"lookback_window": 0, "sweep_window": 0}


@pytest.fixture
def shop() -> Account:
    """A small account as of NOW with three metrics named "Opened Email"."""
    return Account.seeded(seed=6, events=1200, now=datetime.fromtimestamp(NOW, timezone.utc))


def sync(tap: Tap, streams: dict[str, Any], state: Any = None, now: int = NOW) -> Output:
    """Runs a sync of the user-defined streams only."""
    settings = {**tap.settings, "metric_streams": streams}
    catalog = build_catalog(parse_config(settings).metric_streams)
    return tap.sync(state, catalog, now, metric_streams=streams, **NO_REREAD)


def metric_id(shop: Account, name: str, integration: str | None) -> str:
    """The id of a metric by its name and integration."""
    (found,) = (
        metric["id"]
        for metric in shop.metrics()
        if (metric["name"], metric["integration"]) == (name, integration)
    )
    return str(found)


@pytest.mark.parametrize(
    ("setting", "names", "integration"),
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
    tap_on: TapOn, shop: Account, setting: Any, names: list[str], integration: str | None
) -> None:
    """The stream has the events of all metrics with the name, or of one integration."""
    output = sync(tap_on(shop), {"mine": setting})
    ids = output.ids["mine"]
    assert output.fault is None
    assert len(ids) == len(set(ids))
    assert set(ids) == set(shop.event_ids(names, integration=integration, end=NOW))
    assert bool(ids) == bool(names)


@pytest.mark.parametrize("form", [lambda id: id, lambda id: {"metric": id}])
def test_a_metric_by_id(tap_on: TapOn, shop: Account, form: Callable[[str], Any]) -> None:
    """An id selects one metric, also if others have the same name."""
    identifier = metric_id(shop, "Opened Email", "Shopify")
    output = sync(tap_on(shop), {"mine": form(identifier)})
    assert set(output.ids["mine"]) == set(shop.event_ids_of(identifier, end=NOW))
    assert output.ids["mine"]
    assert output.state["bookmarks"]["mine"]["metrics"] == [identifier]


def test_metrics_with_the_same_name(tap_on: TapOn, shop: Account) -> None:
    """Metrics with the same name and different integrations are separate streams."""
    integrations = {"by_klaviyo": "Klaviyo", "by_shopify": "Shopify", "by_api": "API"}
    streams = {
        name: {"metric": "Opened Email", "integration": integration}
        for name, integration in integrations.items()
    }
    output = sync(tap_on(shop), {**streams, "by_any": "Opened Email"})
    for name, integration in integrations.items():
        expected = shop.event_ids(["Opened Email"], integration=integration, end=NOW)
        assert sorted(output.ids[name]) == sorted(expected)
        assert output.ids[name]
    together = [identifier for name in integrations for identifier in output.ids[name]]
    assert sorted(together) == sorted(output.ids["by_any"])


def test_a_second_run_is_incremental(tap_on: TapOn, shop: Account) -> None:
    """Each stream has its own bookmark, and the next run reads the new events."""
    tap = tap_on(shop)
    shopify, api = (
        metric_id(shop, "Opened Email", integration) for integration in ("Shopify", "API")
    )
    streams = {
        "orders": "Placed Order",
        "opens": {"metric": "Opened Email", "integration": "Shopify"},
        "by_id": api,
    }
    first = sync(tap, streams)
    metrics = {"orders": metric_id(shop, "Placed Order", "Shopify"), "opens": shopify, "by_id": api}
    arrived = {
        name: {event.id for event in shop.arrive(metric, timestamps=[NOW, NOW + 60], now=NOW + 90)}
        for name, metric in metrics.items()
    }
    shop.arrive("Opened Email", timestamps=[NOW + 60], now=NOW + 90)
    second = sync(tap, streams, first.state, NOW + 100)
    assert first.state["bookmarks"].keys() == streams.keys()
    for name, ids in arrived.items():
        assert sorted(second.ids[name]) == sorted(ids)
        bookmark = second.state["bookmarks"][name]
        assert (bookmark["timestamp"], bookmark["metrics"]) == (NOW + 100, [metrics[name]])


def test_a_new_metric_with_the_name_is_backfilled(tap_on: TapOn, shop: Account) -> None:
    """A second metric that gets the name is read from start_date."""
    tap = tap_on(shop)
    first = sync(tap, {"quizzes": "Quiz Completed"})
    other = metric_id(shop, "Viewed Product", "API")
    shop.change("metric", other, name="Quiz Completed")
    second = sync(tap, {"quizzes": "Quiz Completed"}, first.state, NOW + 100)
    assert first.ids["quizzes"]
    assert set(second.ids["quizzes"]) >= set(shop.event_ids_of(other, end=NOW))
    assert len(second.state["bookmarks"]["quizzes"]["metrics"]) == 2


def test_user_defined_streams_are_selected_by_default(tap_on: TapOn, shop: Account) -> None:
    """User-defined streams are read together with the default streams."""
    output = tap_on(shop).sync(now=NOW, metric_streams={"orders": "Placed Order"})
    assert output.fault is None
    assert sorted(output.ids["orders"]) == sorted(
        shop.event_ids(["Placed Order"], integration="Shopify", end=NOW)
    )
    assert output.ids["open"]
    record = output.records("orders")[0]
    assert record["metric"][0]["name"] == "Placed Order"
    assert record["profile_id"] is None or record["profile"][0]["id"] == record["profile_id"]
