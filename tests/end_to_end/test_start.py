"""Where a run starts: settings against the state, and the states of other taps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from sync_runner import NOW, Output, Tap, catalog_of

from sandbox.account import Account
from tap_klaviyo.klaviyo.client import Client

TapOn = Callable[..., Tap]
DAY = 86_400
NO_SWEEP = {"lookback_window": 0, "sweep_window": 0, "recount_interval": 0}


@pytest.fixture
def shop() -> Account:
    """A small account as of NOW."""
    return Account.seeded(seed=6, events=300, now=datetime.fromtimestamp(NOW, timezone.utc))


@pytest.fixture
def tap(tap_on: TapOn, shop: Account) -> Tap:
    """The tap for this account."""
    return tap_on(shop)


def iso(seconds: int) -> str:
    """Unix seconds as a UTC date."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def bookmark(output: Output, stream: str = "open") -> dict[str, Any]:
    """The bookmark of a stream in the last STATE."""
    found: dict[str, Any] = output.state["bookmarks"][stream]
    return found


def state(**bookmarks: Any) -> dict[str, Any]:
    """A state with these bookmarks."""
    return {"bookmarks": bookmarks}


def events(shop: Account, start: int, end: int) -> set[str]:
    """The "Opened Email" events of Klaviyo with a time from ``start`` up to ``end``."""
    ids = {
        bound: set(shop.event_ids(["Opened Email"], integration="Klaviyo", end=bound))
        for bound in (start, end)
    }
    return ids[end] - ids[start]


EXTREME_DATES: dict[str, dict[str, Any]] = {
    "1900": {"start_date": "1900-01-01"},
    "year 1": {"start_date": "0001-01-01T00:00:00Z"},
    "all of time": {"start_date": "01/01/0001", "end_date": "9999-12-31T23:59:59Z"},
    "before 1970 only": {"start_date": "0001-01-01", "end_date": "1969-12-31"},
    "the future": {"start_date": "9999-12-30", "end_date": "9999-12-31T23:59:59Z"},
    "an offset": {"start_date": "1970-01-01T00:00:00+14:00", "end_date": "1971-01-01"},
}


TIMES = ("timestamp", "start_date", "swept_at")
BEFORE_1970 = re.compile(r",-|,(19[0-6]|1[0-8]|0)\d+-")


@pytest.mark.parametrize("dates", EXTREME_DATES.values(), ids=EXTREME_DATES.keys())
@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("streams", [("clicked_sms", "events", "profiles", "list_members")])
def test_extreme_dates(
    tap: Tap, shop: Account, dates: dict[str, Any], zone: str, streams: tuple[str, ...]
) -> None:
    """Any date can be a start or an end; neither requests nor bookmarks are before 1970."""
    tap.box.account.change("account", shop.ids("account")[0], timezone=zone)
    catalog = catalog_of(*streams, method="INCREMENTAL")
    first = tap.sync(now=NOW, catalog=catalog, **dates)
    assert first.fault is None
    for stored in first.state["bookmarks"].values():
        assert all(0 <= stored.get(key, 0) <= NOW for key in TIMES)
    assert tap.sync(first.state, now=NOW + 60, catalog=catalog, **dates).fault is None
    for request in tap.box.requests:
        assert not BEFORE_1970.search(dict(request.query).get("filter", ""))


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("dates", EXTREME_DATES.values(), ids=EXTREME_DATES.keys())
@pytest.mark.parametrize(
    "report", ["flow_values_report", "form_series_report", "segment_series_report"]
)
def test_extreme_dates_of_reports(
    tap: Tap, shop: Account, report: str, dates: dict[str, Any], zone: str
) -> None:
    """Reports, too, start in 1970 at the earliest, on the account's calendar."""
    shop.change("account", shop.ids("account")[0], timezone=zone)
    bounded = {**dates, "end_date": min(dates.get("end_date", "1972-01-01"), "1972-01-01")}
    bounded = dates if dates["start_date"] == "9999-12-30" else bounded
    output = tap.sync(None, catalog_of(report), NOW, **bounded)
    assert output.fault is None
    stored = output.state["bookmarks"][report]
    assert all(0 <= stored.get(key, 0) <= NOW for key in TIMES)
    assert tap.sync(output.state, catalog_of(report), NOW + 60, **bounded).fault is None


@pytest.mark.parametrize("value", [-62135596800, -2208988800, "1900-01-01", "0001-01-01", NOW * 9])
@pytest.mark.parametrize("stream", ["clicked_sms", "profiles"])
def test_extreme_bookmarks(tap: Tap, stream: str, value: Any) -> None:
    """A bookmark before 1970, as an older version stored, or far in the future is accepted."""
    stored = {"timestamp": value, "swept_at": value, "start_date": value}
    output = tap.sync(state(**{stream: stored}), catalog_of(stream), NOW)
    assert output.fault is None
    assert bookmark(output, stream)["timestamp"] == NOW


def test_end_date_inside_a_sweep(tap: Tap, shop: Account) -> None:
    """A sweep counts up to end_date only, so that the next one finds what is late after that."""
    swept = NOW - 20 * DAY
    first = tap.sync(
        state(open={"timestamp": NOW - DAY, "swept_at": swept}),
        catalog_of("open"),
        NOW,
        end_date=iso(NOW - 12 * DAY),
    )
    assert bookmark(first)["swept_at"] == NOW - 12 * DAY
    assert bookmark(first)["timestamp"] == NOW - DAY
    (late,) = shop.arrive("Opened Email", timestamps=[NOW - 11 * DAY], now=NOW)
    assert late.id in tap.sync(first.state, catalog_of("open"), NOW + 60).ids["open"]


def test_end_date_of_the_first_run(tap: Tap) -> None:
    """The first bookmark and its sweep end at end_date."""
    output = tap.sync(None, catalog_of("open"), NOW, end_date=iso(NOW - 9 * DAY))
    assert bookmark(output)["timestamp"] == bookmark(output)["swept_at"] == NOW - 9 * DAY


def test_start_date_later_than_the_bookmark(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning says from when to when nothing is read; the state remembers the new start."""
    names = ("open", "click", "profiles")
    before = {"timestamp": NOW - 30 * DAY, "swept_at": NOW, "start_date": 0}
    start = {"start_date": iso(NOW - 9 * DAY)}
    output = tap.sync(state(**dict.fromkeys(names, before)), catalog_of(*names), NOW, **start)
    assert set(output.ids["open"]) == events(shop, NOW - 9 * DAY, NOW)
    (line,) = [record.message for record in caplog.records if "later than" in record.message]
    for text in (iso(NOW - 9 * DAY), iso(NOW - 30 * DAY), "click, open, profiles", "not read"):
        assert text in line
    assert bookmark(output)["start_date"] == NOW - 9 * DAY


@pytest.mark.parametrize(("days", "warns"), [(40, True), (30, False), (20, False)])
def test_start_date_earlier_than_in_the_first_run(
    tap: Tap, caplog: pytest.LogCaptureFixture, days: int, warns: bool
) -> None:
    """One warning for all streams says what is not read, and how to read it."""
    catalog = catalog_of("open", "click", "profiles", "lists")
    first = tap.sync(None, catalog, NOW, start_date=iso(NOW - 30 * DAY))
    assert bookmark(first)["start_date"] == NOW - 30 * DAY
    caplog.clear()
    second = tap.sync(first.state, catalog, NOW + 60, start_date=iso(NOW - days * DAY))
    lines = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert bookmark(second)["start_date"] == NOW - 30 * DAY
    assert len(lines) == warns
    for text in (iso(NOW - 40 * DAY), f"{iso(NOW - 30 * DAY)} (click, open, profiles)", "remove"):
        assert not lines or text in lines[0]
    without = {"bookmarks": {"click": bookmark(second, "click")}}
    third = tap.sync(without, catalog, NOW + 120, start_date=iso(NOW - days * DAY))
    assert bookmark(third)["start_date"] == NOW - days * DAY


def test_a_bookmark_in_the_future(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """The stream is swept, and one warning says from when and that records may be missing."""
    future = {"timestamp": NOW + 30 * DAY, "swept_at": NOW + 29 * DAY}
    names = ("open", "click", "profiles")
    given = state(**dict.fromkeys(names, future))
    output = tap.sync(given, catalog_of(*names), NOW, recount_interval=0)
    assert set(output.ids["open"]) == events(shop, NOW - 7 * DAY, NOW)
    (line,) = [record.message for record in caplog.records if "future" in record.message]
    assert f"again from {iso(NOW - 7 * DAY)} (click, open, profiles)" in line
    assert "may be missing" in line
    assert bookmark(output)["timestamp"] == bookmark(output)["swept_at"] == NOW


@pytest.mark.parametrize(
    ("swept_at", "settings", "start"),
    [
        (NOW - 3600, {}, NOW - 3600 - 7 * DAY),
        (NOW - 90 * DAY, {}, NOW - 97 * DAY),
        (None, {"sweep_window": 0}, NOW - 3600),
        (None, {"sweep_interval": 0}, NOW - 3600),
        (NOW + 3600, {"start_date": iso(NOW - DAY)}, NOW - DAY),
    ],
)
def test_where_a_bookmark_in_the_future_is_read_from(
    tap: Tap,
    shop: Account,
    caplog: pytest.LogCaptureFixture,
    swept_at: int | None,
    settings: dict[str, Any],
    start: int,
) -> None:
    """It is read from the last sweep before now, if sweeps are on, or by the look-back."""
    future = state(open={"timestamp": NOW + 30 * DAY, "swept_at": swept_at})
    output = tap.sync(future, catalog_of("open"), NOW, recount_interval=0, **settings)
    assert set(output.ids["open"]) == events(shop, start, NOW)
    assert f"again from {iso(start)} (open)" in caplog.text


def test_a_bookmark_of_a_metric_in_the_future(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """It is read from the bookmark of its stream, swept, and the warning names it."""
    opened = ("Opened Email", "Klaviyo")
    metric = next(m["id"] for m in shop.metrics() if (m["name"], m["integration"]) == opened)
    own = {"timestamp": NOW - DAY, "swept_at": NOW - DAY, "joining": {metric: NOW + 9 * DAY}}
    given = state(open={**own, "metrics": []})
    output = tap.sync(given, catalog_of("open"), NOW, recount_interval=0)
    assert set(output.ids["open"]) == events(shop, NOW - 8 * DAY, NOW)
    assert f"again from {iso(NOW - 8 * DAY)} ({metric} of open)" in caplog.text


@pytest.mark.parametrize(("end", "warned"), [(NOW - DAY, True), (NOW - 9, False), (NOW + 9, False)])
def test_end_date_not_later_than_the_bookmark(
    tap: Tap, caplog: pytest.LogCaptureFixture, end: int, warned: bool
) -> None:
    """One warning names the streams of which nothing new is read."""
    read = {"timestamp": NOW - DAY, "swept_at": NOW - DAY}
    tap.sync(
        state(open=read, profiles=read),
        catalog_of("open", "click", "profiles", "lists"),
        NOW,
        end_date=iso(end),
    )
    lines = [record.message for record in caplog.records if "end_date" in record.message]
    assert len(lines) == warned
    assert all(line.endswith("nothing new is read of open, profiles.") for line in lines)


@pytest.mark.parametrize(("sweep", "swept_at"), [(10**18, NOW), (-5, 0), (NOW - 60, NOW - 60)])
def test_an_interrupted_sweep(tap: Tap, sweep: int, swept_at: int) -> None:
    """A sweep that was interrupted counts up to its own end, whatever the state says of it."""
    resume = {"timestamp": NOW - DAY, "done": {"": [[0, 60]]}, "sweep": sweep}
    interrupted = state(open={"timestamp": NOW - DAY, "swept_at": NOW - DAY, "resume": resume})
    output = tap.sync(interrupted, catalog_of("open"), NOW)
    assert output.state["bookmarks"]["open"]["swept_at"] == swept_at
    assert "resume" not in output.state["bookmarks"]["open"]


@pytest.mark.parametrize(
    ("local", "ahead", "warned"), [(NOW + 5400, 5400, True), (NOW, -5400, True), (NOW, 1, False)]
)
def test_a_clock_that_is_wrong(
    tap: Tap,
    shop: Account,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    local: int,
    ahead: int,
    warned: bool,
) -> None:
    """A run ends at the earlier of the local and Klaviyo's time; a difference is a warning."""
    monkeypatch.setattr(Client, "clock_offset", lambda client: float(ahead))
    output = tap.sync(None, catalog_of("open", "profiles"), local)
    assert set(output.ids["open"]) == events(shop, 0, NOW)
    bookmarks = output.state["bookmarks"]
    assert {bookmarks[name]["timestamp"] for name in ("open", "profiles")} == {NOW}
    assert ("The local clock is 5400 s" in caplog.text) is warned


def test_a_local_clock_that_is_behind_the_bookmark(
    tap: Tap, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bookmark that is later than a wrong local clock is not one of the future."""
    catalog = catalog_of("open", "profiles", "list_members", method="INCREMENTAL")
    first = tap.sync(None, catalog, NOW)
    monkeypatch.setattr(Client, "clock_offset", lambda client: -40.0 * DAY)
    output = tap.sync(first.state, catalog, NOW - 40 * DAY)
    assert output.state["bookmarks"] == first.state["bookmarks"]
    assert "future" not in caplog.text


def test_start_date_in_the_future(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is read, a warning says so, and the next run starts where its start_date says."""
    catalog = catalog_of("open", "profiles", "lists")
    first = tap.sync(None, catalog, NOW, start_date="2999-01-01")
    assert not first.ids["open"]
    assert "is in the future, so nothing is read of open, profiles." in caplog.text
    second = tap.sync(first.state, catalog, NOW + 60, start_date="2020-01-01")
    assert set(second.ids["open"]) == events(shop, 0, NOW)


@pytest.mark.parametrize(
    ("stream", "foreign"),
    [
        ("events", {"replication_key": "datetime", "replication_key_value": iso(NOW - 9 * DAY)}),
        ("open", {"replication_key": "timestamp", "replication_key_value": NOW - 9 * DAY}),
        ("profiles", {"replication_key": "updated", "replication_key_value": iso(NOW - 9 * DAY)}),
        ("profiles", {"updated": iso(NOW - 9 * DAY)}),
        ("list_members", {"joined_group_at": iso(NOW - 9 * DAY)}),
    ],
)
def test_a_state_of_another_tap(
    tap: Tap, caplog: pytest.LogCaptureFixture, stream: str, foreign: dict[str, Any]
) -> None:
    """A stream goes on where a tap of Meltano's SDK, or one with singer-python, has ended."""
    catalog = catalog_of(stream, method="INCREMENTAL")
    own = tap.sync(state(**{stream: {"timestamp": NOW - 9 * DAY}}), catalog, NOW, **NO_SWEEP)
    caplog.clear()
    output = tap.sync(state(**{stream: foreign}), catalog, NOW, **NO_SWEEP)
    assert sorted(output.keys(stream)) == sorted(own.keys(stream))
    assert bookmark(output, stream) == bookmark(own, stream)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    "foreign",
    [
        {"progress_markers": {"replication_key_value": iso(NOW)}},
        {"partitions": [{"context": {"x": 1}, "replication_key_value": iso(NOW)}]},
        {"replication_key": "uuid", "replication_key_value": "0af"},
        {"cursor": "bmV4dA"},
    ],
)
def test_a_state_of_another_tap_that_is_no_bookmark(
    tap: Tap, shop: Account, caplog: pytest.LogCaptureFixture, foreign: dict[str, Any]
) -> None:
    """The stream is read from start_date, and a warning says so."""
    output = tap.sync(state(open=foreign), catalog_of("open"), NOW)
    assert set(output.ids["open"]) == events(shop, 0, NOW)
    assert f"read from start_date: open ({', '.join(sorted(foreign))})" in caplog.text


def test_a_state_of_another_tap_that_is_no_date(tap: Tap) -> None:
    """It is refused before anything is written."""
    output = tap.sync(state(open={"replication_key_value": "soon"}), catalog_of("open"), NOW)
    assert "bookmarks.open.replication_key_value must be" in str(output.fault)
    assert not output.messages


def test_bookmarks_of_unknown_streams(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """One warning names them with what may be meant; metric IDs and other streams are not named."""
    names = ("recieve", "orders", "a\nb", "WQofuW", "click", "clicked_text_message", "profiles")
    tap.sync(state(**{name: {"timestamp": NOW} for name in names}), catalog_of("lists"), NOW)
    (line,) = [record.message for record in caplog.records if "unknown" in record.message]
    expected = "'recieve' (did you mean 'receive'?), 'orders', 'a\\nb'."
    assert line == f"state: bookmarks of unknown streams are kept and not used: {expected}"


def test_a_full_table_of_profiles(tap: Tap, shop: Account) -> None:
    """All profiles are read, whatever start_date is, and the bookmark stays for later."""
    recent = {"start_date": iso(NOW - 9 * DAY)}
    first = tap.sync(None, catalog_of("profiles"), NOW, **recent)
    full = catalog_of("profiles", method="FULL_TABLE")
    second = tap.sync(first.state, full, NOW + 60, activate_version=True, **recent)
    assert set(second.ids["profiles"]) == set(shop.ids("profile"))
    assert set(first.ids["profiles"]) < set(second.ids["profiles"])
    assert second.of("ACTIVATE_VERSION")
    assert second.of("SCHEMA")[0]["bookmark_properties"] == []
    assert second.state["bookmarks"] == first.state["bookmarks"]
    third = tap.sync(second.state, catalog_of("profiles"), NOW + 120, **recent)
    assert bookmark(third, "profiles")["timestamp"] == NOW + 120


def test_states_are_json(tap: Tap) -> None:
    """A state with null for every key is read as if the keys were absent."""
    keys = ("timestamp", "start_date", "swept_at", "metrics", "joining", "definition", "since")
    nulls = {"bookmarks": {"open": dict.fromkeys(keys), "click": None}, "currently_syncing": None}
    output = tap.sync(json.loads(json.dumps(nulls)), catalog_of("open", "click"), NOW)
    assert output.fault is None
    assert output.ids["open"] == tap.sync(None, catalog_of("open"), NOW).ids["open"]
    catalog = catalog_of("open", "click")
    null_values = state(open={"timestamp": NOW - 60, "joining": None, "metrics": None})
    assert tap.sync(null_values, catalog, NOW).fault is None
