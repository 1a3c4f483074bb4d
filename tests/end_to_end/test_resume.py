"""A run continues from the state of the previous run, wherever that one ended."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from sync_runner import EVENT_STREAMS, NOW, Clock, Output, Tap, catalog_of, truth

from sandbox.account import Account
from tap_klaviyo.config.client import client_for
from tap_klaviyo.discovery.selection import read_catalog
from tap_klaviyo.messages import Writer
from tap_klaviyo.state import State
from tap_klaviyo.streams import DEFAULT_STREAMS
from tap_klaviyo.sync.output import Output as SyncOutput
from tap_klaviyo.sync.progress_bars import Progress
from tap_klaviyo.sync.stream_sync import stream_syncs

TapOn = Callable[..., Tap]
HOUR, DAY = 3600, 86_400


def account(**options: Any) -> Account:
    """A small account as of NOW."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    return Account.seeded(**{"seed": 2, "events": 1500, "naming": "both", "now": moment, **options})


def test_a_second_run_reads_exactly_the_new_events(tap_on: TapOn) -> None:
    """The second run reads the look-back and the events that arrived since."""
    shop = account()
    tap = tap_on(shop)
    first = tap.sync(now=NOW)
    arrived = shop.arrive(
        "Opened Email", timestamps=[NOW + 5, NOW + 60, NOW - HOUR + 1], now=NOW + 90
    )
    shop.arrive("Opened Email", timestamps=[NOW - HOUR - 1], now=NOW + 90)
    second = tap.sync(first.state, now=NOW + 100)
    for stream in DEFAULT_STREAMS:
        if stream.metrics:
            expected = set(shop.event_ids(stream.metrics, start=NOW - HOUR, end=NOW + 100))
            assert set(second.ids[stream.name]) == expected
    assert {event.id for event in arrived} <= set(second.ids["open"])
    assert {event.id for event in arrived} == set(second.ids["open"]) - set(first.ids["open"])


def test_without_a_look_back_nothing_is_read_twice(tap_on: TapOn) -> None:
    """With lookback_window 0 two runs are disjoint and together complete."""
    shop = account()
    tap = tap_on(shop)
    first = tap.sync(now=NOW, lookback_window=0, sweep_window=0)
    shop.arrive("Opened Email", timestamps=[NOW, NOW, NOW + 50], now=NOW + 90)
    second = tap.sync(first.state, now=NOW + 100, lookback_window=0, sweep_window=0)
    ids = first.ids["open"] + second.ids["open"]
    assert len(ids) == len(set(ids))
    assert set(ids) == truth(shop, DEFAULT_STREAMS[2], NOW + 100)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_every_state_resumes_without_loss(tap_on: TapOn, concurrency: int) -> None:
    """The records before any STATE and those of a run from that STATE are complete."""
    shop = account(events=300)
    tap = tap_on(shop)
    names = ("receive", "open", "clicked_sms")
    options = {"catalog": catalog_of(*names), "page_size": 5, "concurrency": concurrency}
    complete = tap.sync(now=NOW, message_seconds=1, **options)
    boundaries = [place for place, m in enumerate(complete.messages) if m["type"] == "STATE"]
    assert len(boundaries) > 10
    for place in boundaries:
        before = Output(complete.messages[: place + 1])
        after = tap.sync(before.state, now=NOW, lookback_window=0, sweep_window=0, **options)
        for stream in DEFAULT_STREAMS:
            if stream.name in names:
                got = set(before.ids[stream.name]) | set(after.ids[stream.name])
                assert got == truth(shop, stream, NOW)


def test_bookmarks_only_go_forward(tap_on: TapOn) -> None:
    """Bookmarks never move back, and never past the start of the run."""
    shop = account(events=600)
    tap = tap_on(shop)
    first = tap.sync(now=NOW, page_size=20, message_seconds=1)
    second = tap.sync(first.state, now=NOW + 7200, page_size=20, message_seconds=1)
    states = [m["value"]["bookmarks"] for m in first.of("STATE") + second.of("STATE")]
    for name in EVENT_STREAMS:
        bookmarks = [b[name]["timestamp"] for b in states if "timestamp" in b.get(name, {})]
        assert bookmarks == sorted(bookmarks)
        assert bookmarks[-1] <= NOW + 7200


def test_events_in_the_future_are_read_when_due(tap_on: TapOn) -> None:
    """An event in the future is not read and does not move the bookmark until it is due."""
    shop = account(events=300)
    (event,) = shop.arrive("Opened Email", timestamps=[NOW + 3 * HOUR], now=NOW)
    tap = tap_on(shop)
    first = tap.sync(now=NOW, catalog=catalog_of("open"))
    second = tap.sync(first.state, now=NOW + 4 * HOUR, catalog=catalog_of("open"))
    assert event.id not in first.ids["open"]
    assert first.state["bookmarks"]["open"]["timestamp"] == NOW
    assert event.id in second.ids["open"]


def test_a_sweep_finds_late_events(tap_on: TapOn) -> None:
    """The last week is read again once a day; in between only the look-back is."""
    shop = account(events=300)
    tap = tap_on(shop)
    state = tap.sync(now=NOW, catalog=catalog_of("open")).state
    (late,) = shop.arrive("Opened Email", timestamps=[NOW - 6 * DAY], now=NOW)
    soon = tap.sync(state, now=NOW + HOUR, catalog=catalog_of("open"))
    next_day = tap.sync(soon.state, now=NOW + DAY, catalog=catalog_of("open"))
    after = tap.sync(next_day.state, now=NOW + DAY + HOUR, catalog=catalog_of("open"))
    assert late.id not in soon.ids["open"]
    assert late.id in next_day.ids["open"]
    assert next_day.state["bookmarks"]["open"]["swept_at"] == NOW + DAY
    assert late.id not in after.ids["open"]


def test_a_sweep_after_a_long_pause(tap_on: TapOn) -> None:
    """Events up to a week late are found even if the tap has not run for weeks."""
    shop = account(events=300)
    tap = tap_on(shop)
    state = tap.sync(now=NOW, catalog=catalog_of("open")).state
    (late,) = shop.arrive("Opened Email", timestamps=[NOW - 6 * DAY], now=NOW + HOUR)
    later = tap.sync(state, now=NOW + 20 * DAY, catalog=catalog_of("open"))
    assert late.id in later.ids["open"]


def test_the_state_of_singer_ios_tap_is_migrated(tap_on: TapOn) -> None:
    """Bookmarks of singer-io's tap, under metric ids or stream names, are continued."""
    shop = account(naming="new")
    tap = tap_on(shop)
    metric = next(m for m in shop.metrics() if m["name"] == "Received Email")
    since = datetime.fromtimestamp(NOW - DAY, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    for key in (metric["id"], "receive"):
        output = tap.sync(
            {"bookmarks": {key: {"since": since}}},
            now=NOW,
            sweep_window=0,
            recount_interval=0,
            catalog=catalog_of("receive"),
        )
        expected = shop.event_ids(["Received Email"], start=NOW - DAY - HOUR, end=NOW)
        assert set(output.ids["receive"]) == set(expected)
        assert output.state["bookmarks"].keys() == {"receive"}


def test_a_new_metric_of_a_stream_is_backfilled(tap_on: TapOn) -> None:
    """A metric that the bookmark does not cover is read from start_date."""
    shop = account(naming="both")
    tap = tap_on(shop)
    old, new = (
        next(m["id"] for m in shop.metrics() if m["name"] == name)
        for name in ("Clicked SMS", "Clicked Text Message")
    )
    state = {"bookmarks": {"clicked_sms": {"timestamp": NOW - 10, "metrics": [old]}}}
    options = {"catalog": catalog_of("clicked_sms"), "sweep_window": 0, "recount_interval": 0}
    output = tap.sync(state, now=NOW, **options)
    assert set(shop.event_ids_of(new)) <= set(output.ids["clicked_sms"])
    assert len(output.ids["clicked_sms"]) < len(truth(shop, DEFAULT_STREAMS[10], NOW))
    assert output.state["bookmarks"]["clicked_sms"]["metrics"] == sorted([old, new])


def test_end_date(tap_on: TapOn) -> None:
    """Events from end_date on are not read, and the bookmark is end_date."""
    shop = account()
    end = datetime.fromtimestamp(NOW - 10 * DAY, timezone.utc).isoformat()
    output = tap_on(shop).sync(now=NOW, end_date=end, catalog=catalog_of("receive"))
    assert set(output.ids["receive"]) == truth(shop, DEFAULT_STREAMS[0], NOW - 10 * DAY)
    assert output.state["bookmarks"]["receive"]["timestamp"] == NOW - 10 * DAY


@pytest.mark.parametrize("streams", [["open"], ["lists"], [one.name for one in DEFAULT_STREAMS]])
@pytest.mark.parametrize("resumed", [False, True])
def test_a_state_precedes_the_first_record(
    tap_on: TapOn, streams: list[str], resumed: bool
) -> None:
    """The first STATE covers no record of the run: some targets take it for stored at once."""
    tap = tap_on(account())
    catalog = catalog_of(*streams)
    given = tap.sync(now=NOW - DAY, catalog=catalog).state if resumed else {"bookmarks": {}}
    output = tap.sync(given, catalog, NOW)
    types = [message["type"] for message in output.messages]
    assert types[: len(streams) + 1] == ["SCHEMA"] * len(streams) + ["STATE"]
    first = output.of("STATE")[0]["value"]["bookmarks"]
    marks = {name: bookmark.get("timestamp") for name, bookmark in first.items()}
    assert any(marks.values()) == (resumed and streams != ["lists"])
    for name, mark in marks.items():
        assert mark == given["bookmarks"].get(name, {}).get("timestamp")


@pytest.mark.parametrize(
    ("message_seconds", "states"),
    [(0, 2), (0.001, 2), (0.1, range(5, 80)), (1, range(50, 800))],
)
def test_states_are_a_second_apart(
    tap_on: TapOn, message_seconds: float, states: int | range
) -> None:
    """After the first STATE there is at most one a second, and one at the end."""
    tap = tap_on(account(events=600))
    options = {"catalog": catalog_of("receive", "open"), "page_size": 5, "recount_interval": 0}
    options["now"] = NOW
    output = tap.sync(message_seconds=message_seconds, **options)
    places = [place for place, m in enumerate(output.messages) if m["type"] == "STATE"]
    assert len(places) in (states if isinstance(states, range) else [states])
    gaps = [after - before for before, after in itertools.pairwise(places[:-1])]
    assert all(gap * message_seconds >= 0.99 for gap in gaps)
    assert places[-1] == len(output.messages) - 1
    assert output.state == tap.sync(**options).state


def test_a_state_that_came_too_soon_is_written_while_the_run_waits(
    configure: Callable[..., Any],
) -> None:
    """A STATE that is due but comes within a second of the last one is not lost."""
    clock, lines = Clock(), list[bytes]()
    client = client_for(configure(), clock=lambda: clock.now, sleep=clock.sleep)
    syncs = stream_syncs(read_catalog(catalog_of("lists")))
    output = SyncOutput(
        Writer(lines.append), Progress(), State({}), syncs, client, None, lambda: clock.now
    )
    output.schemas()
    output.state()
    output.keep_up()
    assert sum(b'"STATE"' in line for line in lines) == 1
    clock.sleep(1)
    output.keep_up()
    output.keep_up()
    assert sum(b'"STATE"' in line for line in lines) == 2
