"""Which metrics a stream has when names, settings and the account change between two runs."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from sync_runner import NOW, Output, Tap, catalog_of

from sandbox.account import Account
from sandbox.resources import Collection
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.discovery.catalog import build_catalog

TapOn = Callable[..., Tap]
DAY = 86_400
NO_REREAD: dict[str, Any] = {"lookback_window": 0, "sweep_window": 0, "recount_interval": 0}


@pytest.fixture
def shop() -> Account:
    """A small account as of NOW, in which metrics of SMS have an old and a new name."""
    now = datetime.fromtimestamp(NOW, timezone.utc)
    return Account.seeded(seed=6, events=1200, naming="both", now=now)


@pytest.fixture
def tap(tap_on: TapOn, shop: Account) -> Tap:
    """The tap for this account."""
    return tap_on(shop)


def metric_id(shop: Account, name: str, integration: str = "Klaviyo") -> str:
    """The id of a metric by its name and integration."""
    (found,) = (
        metric["id"]
        for metric in shop.metrics()
        if (metric["name"], metric["integration"]) == (name, integration)
    )
    return str(found)


def hide(shop: Account, *metric_ids: str) -> Callable[[], None]:
    """Removes metrics from /api/metrics; returns what shows them again."""
    before = shop.collections["metric"]
    shop.collections["metric"] = Collection([m for m in before if m.id not in metric_ids])
    shop.version += 1

    def show() -> None:
        shop.collections["metric"] = before
        shop.version += 1

    return show


def arrive(shop: Account, metric: str, seconds: int) -> str:
    """Adds an event of a metric, by its name or id; returns its id."""
    return next(iter(shop.arrive(metric, timestamps=[seconds], now=seconds))).id


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings so far, which are then forgotten."""
    lines = [record.message for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return lines


def sync(tap: Tap, streams: dict[str, Any], state: Any, now: int, **settings: Any) -> Output:
    """Runs a sync of user-defined streams only."""
    catalog = build_catalog(
        parse_config({**tap.settings, "metric_streams": streams}).metric_streams
    )
    settings = {**NO_REREAD, **settings, "metric_streams": streams}
    return tap.sync(state, catalog, now, **settings)


def stored(output: Output, stream: str) -> dict[str, Any]:
    """The bookmark of a stream in the last STATE."""
    found: dict[str, Any] = output.state["bookmarks"][stream]
    return found


@pytest.mark.parametrize("name", ["Opened E-Mail", "Clicked Email", "", "Открыто"])
def test_a_metric_that_klaviyo_renames(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """It is read on, and one warning says what it is called now."""
    opened = metric_id(shop, "Opened Email")
    first = tap.sync(None, catalog_of("open"), NOW, **NO_REREAD)
    event = arrive(shop, opened, NOW + 60)
    shop.change("metric", opened, name=name)
    warnings(caplog)
    second = tap.sync(first.state, catalog_of("open"), NOW + 100, **NO_REREAD)
    assert second.ids["open"] == [event]
    (line,) = warnings(caplog)
    assert f"'open': its metrics have changed: {opened} ({name!r}) is read on" in line
    assert stored(second, "open")["metrics"] == [opened]


def test_a_metric_that_changes_its_integration(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """It is read on as well."""
    opened = metric_id(shop, "Opened Email")
    first = tap.sync(None, catalog_of("open"), NOW, **NO_REREAD)
    event = arrive(shop, opened, NOW + 60)
    shop.change("metric", opened, integration={"object": "integration", "name": "Klaviyo Email"})
    second = tap.sync(first.state, catalog_of("open"), NOW + 100, **NO_REREAD)
    assert second.ids["open"] == [event]
    assert "is read on" in caplog.text


def test_a_renamed_metric_of_a_state_of_singer_io(tap: Tap, shop: Account) -> None:
    """A catalog entry and a bookmark under the metric's ID are enough to read it on."""
    opened = metric_id(shop, "Opened Email")
    event = arrive(shop, opened, NOW + 60)
    shop.change("metric", opened, name="Email Seen")
    catalog = catalog_of("open")
    catalog["streams"][0]["tap_stream_id"] = opened
    state = {"bookmarks": {opened: {"since": "2026-11-01T12:00:00Z"}}}
    output = tap.sync(state, catalog, NOW + 100, **NO_REREAD)
    assert output.ids["open"] == [event]
    assert stored(output, "open")["metrics"] == [opened]


def test_a_metric_that_is_missing_in_one_run(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """Its history does not come again, and what arrived in the meantime is not lost."""
    catalog = catalog_of("clicked_sms")
    first = tap.sync(None, catalog, NOW, **NO_REREAD)
    hidden, kept = (metric_id(shop, f"Clicked {name}") for name in ("SMS", "Text Message"))
    missed, other = arrive(shop, hidden, NOW + 60), arrive(shop, kept, NOW + 60)
    show = hide(shop, hidden)
    warnings(caplog)
    second = tap.sync(first.state, catalog, NOW + 100, **NO_REREAD)
    (line,) = warnings(caplog)
    assert f"{hidden} is missing in the account and keeps its bookmark" in line
    assert second.ids["clicked_sms"] == [other]
    assert stored(second, "clicked_sms")["joining"] == {hidden: NOW}
    show()
    third = tap.sync(second.state, catalog, NOW + 200, **NO_REREAD)
    assert third.ids["clicked_sms"] == [missed]
    assert sorted(stored(third, "clicked_sms")["metrics"]) == sorted([hidden, kept])
    assert not warnings(caplog)


def test_a_late_event_of_a_metric_that_is_missing_in_a_sweep(tap: Tap, shop: Account) -> None:
    """After its return, a metric is swept from where the last sweep with it has ended."""
    catalog = catalog_of("clicked_sms")
    first = tap.sync(None, catalog, NOW)
    hidden = metric_id(shop, "Clicked SMS")
    late = arrive(shop, hidden, NOW - 6 * DAY)
    show = hide(shop, hidden)
    second = tap.sync(first.state, catalog, NOW + 2 * DAY)
    assert stored(second, "clicked_sms")["swept_at"] == NOW + 2 * DAY
    show()
    third = tap.sync(second.state, catalog, NOW + 2 * DAY + 60)
    assert late in third.ids["clicked_sms"]


def test_an_account_without_any_metric_of_the_state(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """The stream is empty and says so; its bookmark is kept as it is."""
    first = tap.sync(None, catalog_of("open"), NOW)
    hide(shop, metric_id(shop, "Opened Email"))
    warnings(caplog)
    second = tap.sync(first.state, catalog_of("open"), NOW + 2 * DAY)
    (line,) = warnings(caplog)
    assert "so they are empty: open ('Opened Email'" in line
    assert "Bookmarks stay." in line
    assert not second.ids["open"]
    assert second.state["bookmarks"] == first.state["bookmarks"]


ORDERS = {"orders": {"metric": "Placed Order", "integration": "Shopify"}}
PRODUCTS = {"orders": {"metric": "Ordered Product", "integration": "Shopify"}}


@pytest.mark.parametrize("remembered", [True, False], ids=["new state", "state of 1.1"])
def test_a_stream_whose_definition_changes(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture, remembered: bool
) -> None:
    """What is read is what is configured now, from start_date, after one warning."""
    placed, products = (metric_id(shop, n, "Shopify") for n in ("Placed Order", "Ordered Product"))
    first = sync(tap, ORDERS, None, NOW)
    arrive(shop, placed, NOW + 60)
    warnings(caplog)
    state = first.state
    if not remembered:
        del state["bookmarks"]["orders"]["definition"]
    second = sync(tap, PRODUCTS, state, NOW + 100)
    assert set(second.ids["orders"]) == set(shop.event_ids_of(products, end=NOW))
    (line,) = warnings(caplog)
    assert f"{placed} ('Placed Order') does not belong to metric_streams.orders" in line
    assert f"{products} ('Ordered Product') is new and is read from start_date" in line
    assert stored(second, "orders")["timestamp"] == NOW + 100
    third = sync(tap, PRODUCTS, second.state, NOW + 200)
    assert not third.ids["orders"]
    assert not warnings(caplog)
    assert stored(third, "orders")["metrics"] == [products]


@pytest.mark.parametrize(
    "definition",
    [
        "Placed Order",
        "placed  order",
        {"metric": "Placed Order"},
        {"metric": "ID"},
        {"metric": "PLACED\u00a0ORDER", "integration": "shopify"},
    ],
)
def test_another_definition_of_the_same_metric(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture, definition: Any
) -> None:
    """A stream goes on if its new definition has the same metric."""
    placed = metric_id(shop, "Placed Order", "Shopify")
    if definition == {"metric": "ID"}:
        definition = {"metric": placed}
    first = sync(tap, ORDERS, None, NOW)
    event = arrive(shop, placed, NOW + 60)
    warnings(caplog)
    second = sync(tap, {"orders": definition}, first.state, NOW + 100)
    assert second.ids["orders"] == [event]
    assert not warnings(caplog)


@pytest.mark.parametrize("remembered", [True, False], ids=["new state", "state of 1.1"])
def test_a_metric_of_a_defined_stream_is_renamed(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture, remembered: bool
) -> None:
    """It is read on under the old definition, and after the new name is configured."""
    placed = metric_id(shop, "Placed Order", "Shopify")
    first = sync(tap, ORDERS, None, NOW)
    if not remembered:
        del first.state["bookmarks"]["orders"]["definition"]
    shop.change("metric", placed, name="Order Placed")
    events = [arrive(shop, placed, NOW + seconds) for seconds in (60, 160)]
    warnings(caplog)
    second = sync(tap, ORDERS, first.state, NOW + 100)
    assert second.ids["orders"] == events[:1]
    (line,) = warnings(caplog)
    assert f"{placed} ('Order Placed') is read on" in line
    third = sync(tap, {"orders": "order placed"}, second.state, NOW + 200)
    assert third.ids["orders"] == events[1:]
    assert not warnings(caplog)


def test_a_definition_without_a_metric(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """A misspelt definition reads nothing; once it is corrected, the stream goes on."""
    first = sync(tap, ORDERS, None, NOW)
    warnings(caplog)
    second = sync(tap, {"orders": "Placed Ordr"}, first.state, NOW + 100)
    assert not second.ids["orders"]
    assert "so they are empty: orders ('Placed Ordr')" in warnings(caplog)[0]
    event = arrive(shop, metric_id(shop, "Placed Order", "Shopify"), NOW + 160)
    third = sync(tap, ORDERS, second.state, NOW + 200)
    assert third.ids["orders"] == [event]


@pytest.mark.parametrize(
    "written",
    [
        "CAFÉ Order",
        "café  order",
        "Café\u00a0Order",
        "\tCafé\u2003 Order\n",
        unicodedata.normalize("NFD", "Café Order"),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_compared_without_blanks_case_and_form(
    tap: Tap, shop: Account, written: str, form: Any
) -> None:
    """The name in the settings and that of the account may differ in blanks, case and form."""
    placed = metric_id(shop, "Placed Order", "Shopify")
    shop.change("metric", placed, name=unicodedata.normalize(form, "Café   Order"))
    output = sync(tap, {"orders": written}, None, NOW)
    assert set(output.ids["orders"]) == set(shop.event_ids_of(placed, end=NOW))


def test_an_id_is_compared_exactly(tap: Tap, shop: Account) -> None:
    """The ID of a metric in another case is not that metric."""
    placed = metric_id(shop, "Placed Order", "Shopify")
    assert not sync(tap, {"orders": placed.swapcase()}, None, NOW).ids["orders"]
