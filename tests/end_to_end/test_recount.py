"""Recounts: late events at any depth are found by Klaviyo's own counts."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any

import pytest
from sync_runner import EVENT_STREAMS, NOW, Output, Tap, catalog_of

from sandbox.account import Account
from tap_klaviyo.dates import utc
from tap_klaviyo.state import State
from tap_klaviyo.streams import BY_NAME

TapOn = Callable[..., Tap]

HOUR, DAY = 3600, 86_400
MIDNIGHT = NOW - NOW % DAY
COUNTS, EVENTS, METRICS = "/api/metric-aggregates", "/api/events", "/api/metrics"

QUIET: dict[str, Any] = {"lookback_window": HOUR}


def account(days: int = 1095, events: int = 3000, **options: Any) -> Account:
    """An account of some years as of NOW."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    options = {"naming": "new", "tame": True, **options}
    return Account.seeded(seed=5, events=events, now=moment, days=days, **options)


class Runs:
    """Runs of one tap that continue each other."""

    def __init__(self, tap: Tap, shop: Account, *streams: str, **settings: Any) -> None:
        self._tap = tap
        self._shop = shop
        self._catalog = catalog_of(*streams)
        self._settings = {"start_date": utc(NOW - 1095 * DAY), **QUIET, **settings}
        self.state: dict[str, Any] = {}
        self.written: set[str] = set()

    def run(self, now: int, **settings: Any) -> Output:
        """Runs one sync at ``now``, in Unix seconds."""
        self._tap.box.requests.clear()
        options = {**self._settings, **settings}
        output = self._tap.sync(self.state, self._catalog, now, **options)
        assert output.fault is None
        self.state = output.state
        self.written |= {identifier for found in output.ids.values() for identifier in found}
        return output

    def requests(self) -> Counter[str]:
        """The number of requests of the last run by path."""
        return Counter(seen.path.rstrip("/") for seen in self._tap.box.requests)

    def settle(self, now: int) -> int:
        """Runs once a day until all counts are settled; returns the time of the last run."""
        self.run(now)
        for days in range(1, 20):
            self.run(now + days * (DAY + HOUR))
            if not unsettled(self.state):
                return now + days * (DAY + HOUR)
        raise AssertionError("counts stay due")

    def late(self, metric: str, now: int, ages: Iterable[int]) -> set[str]:
        """Lets events arrive now that are some seconds late."""
        made = self._shop.arrive(metric, timestamps=[now - age for age in ages], now=now)
        return {event.id for event in made}


def unsettled(state: dict[str, Any]) -> list[Any]:
    """The periods that are not settled."""
    read = State(state)
    return [
        period
        for stream in state["bookmarks"]
        for counts in read.counts(stream).values()
        for period in counts.periods
        if not period.settled
    ]


def metric_of(shop: Account, stream: str) -> str:
    """The metric of a stream that the account has, by ID."""
    (found,) = {
        metric["id"]
        for metric in shop.metrics()
        if metric["name"] in BY_NAME[stream].metrics and metric["integration"] == "Klaviyo"
    }
    return found


def test_late_events_of_all_streams_are_found_by_the_next_recount(tap_on: TapOn) -> None:
    """50 events at random depths need at most 110 requests for counts, and few pages."""
    shop = account()
    runs = Runs(tap_on(shop), shop, *EVENT_STREAMS, page_size=10)
    last = runs.settle(NOW)
    drawn, late = random.Random(7), set[str]()
    for _ in range(50):
        metric = metric_of(shop, drawn.choice(EVENT_STREAMS))
        late |= runs.late(metric, last, [drawn.randrange(DAY, 1090 * DAY)])
    runs.run(last + DAY)
    assert late <= runs.written
    assert runs.requests()[COUNTS] <= 110
    assert not unsettled(runs.state)


def test_a_quiet_run_requests_no_more_than_without_recounts(tap_on: TapOn) -> None:
    """With a recount due it requests the counts and the closed day besides, and no sweep."""
    shop = account()
    runs = Runs(tap_on(shop), shop, "open", "click")
    last = runs.settle(NOW)
    runs.run(last + HOUR)
    assert runs.requests() == {METRICS: 2, EVENTS: 2}
    runs.run(last + DAY)
    assert runs.requests() == {METRICS: 2, EVENTS: 4, COUNTS: 2 * 4}


def test_a_closed_day_is_read_whole_once(tap_on: TapOn) -> None:
    """Hourly runs read a day piece by piece; the first recount after it reads it whole."""
    shop = account()
    runs = Runs(tap_on(shop), shop, "open")
    last = runs.settle(NOW)
    found = Counter[str]()
    for hour in range(1, 50):
        now = last + hour * HOUR
        runs.late(metric_of(shop, "open"), now, [60])
        found.update(runs.run(now, lookback_window=0).ids["open"])
    again = {identifier for identifier, times in found.items() if times > 1}
    assert 24 <= len(again) <= 48 + 2
    assert max(found.values()) == 2


def test_no_more_pages_than_the_budget(tap_on: TapOn) -> None:
    """A run reads recount_budget pages again at most, newest first; the rest stays due."""
    shop = account(events=6000)
    runs = Runs(tap_on(shop), shop, "open", page_size=10, recount_budget=20)
    runs.run(NOW)
    runs.run(NOW + DAY + HOUR, sweep_interval=0)
    assert runs.requests()[EVENTS] <= 20 + 1 + 2
    due = unsettled(runs.state)
    settled = State(runs.state).counts("open")[metric_of(shop, "open")].periods
    assert due
    assert all(period.settled for period in settled if period.first > max(p.end for p in due))
    for hour in range(1, 200):
        runs.run(NOW + DAY + (1 + hour) * HOUR, recount_interval="P99D")
        assert runs.requests()[EVENTS] <= 20 + 1
        if not unsettled(runs.state):
            return
    raise AssertionError("counts stay due")


def test_a_period_of_more_pages_than_the_budget_is_read_by_many_runs(tap_on: TapOn) -> None:
    """Each run continues where the last one has come, and little is read twice."""
    shop = account(days=400, events=400)
    crowded = NOW - 300 * DAY
    metric = metric_of(shop, "open")
    shop.arrive(metric, timestamps=range(crowded, crowded + 1000), now=NOW - 299 * DAY)
    runs = Runs(tap_on(shop), shop, "open", page_size=10, recount_budget=5)
    runs.run(NOW)
    pages, now = 0, NOW + DAY
    while pages == 0 or unsettled(runs.state):
        now += HOUR
        runs.run(now, sweep_interval=0)
        pages += runs.requests()[EVENTS] - 1
    assert pages <= 1.5 * (100 + 40)


@pytest.mark.parametrize("selected", [True, False])
def test_attributions_are_swept_as_before(tap_on: TapOn, selected: bool) -> None:
    """They change while counts stay, so the last seven days are read again each day."""
    shop = account(events=3000)
    catalog = catalog_of("events", all_fields=True, without=[] if selected else ["attributions"])
    tap = tap_on(shop)
    state: dict[str, Any] = {}
    for days in range(4):
        output = tap.sync(state, catalog, NOW + days * DAY, start_date=utc(NOW - 1095 * DAY))
        state = output.state
    assert output.fault is None
    assert len(output.ids["events"]) > 0


def test_all_metrics_of_events_are_counted(tap_on: TapOn) -> None:
    """Late events of any metric are found in the stream of all events, however late."""
    shop = account()
    runs = Runs(tap_on(shop), shop, "events")
    last = runs.settle(NOW)
    late = {
        identifier
        for stream in ("open", "click", "bounce")
        for identifier in runs.late(metric_of(shop, stream), last, [200 * DAY, 900 * DAY])
    }
    hours = 0
    while hours == 0 or runs.requests()[COUNTS]:
        runs.run(last + DAY + hours * HOUR)
        assert runs.requests()[COUNTS] <= 120
        hours += 1
    assert late <= runs.written
    assert METRICS not in runs.requests()


def test_metrics_are_asked_in_turn(tap_on: TapOn, monkeypatch: pytest.MonkeyPatch) -> None:
    """If not all metrics can be asked in one run, the next runs ask the others."""
    monkeypatch.setattr("tap_klaviyo.sync.count_requests.MOST_REQUESTS", 20)
    shop = account()
    runs = Runs(tap_on(shop), shop, "open", "click", "receive", "bounce", "unsubscribe")
    runs.run(NOW)
    asked = Counter[str]()
    for hour in range(3):
        runs.run(NOW + DAY + hour * HOUR)
        assert runs.requests()[COUNTS] <= 20
        asked.update(runs.requests())
    assert asked[COUNTS] == 5 * 4


@pytest.mark.parametrize(
    "faults",
    [{"name": "status", "status": 400}, {"name": "status", "status": 403}, None],
    ids=["400", "403", "custom metric"],
)
def test_without_counts_a_metric_is_swept(
    tap_on: TapOn, caplog: pytest.LogCaptureFixture, faults: dict[str, Any] | None
) -> None:
    """One line says so, and events that are late by up to sweep_window are found."""
    shop = account()
    tap = tap_on(shop)
    runs = Runs(tap, shop, "open")
    runs.run(NOW)
    if faults is None:
        shop.set_counting(metric_of(shop, "open"), unsupported=True)
    else:
        tap.box.faults.add(path=COUNTS, times=None, **faults)
    late = runs.late(metric_of(shop, "open"), NOW + HOUR, [6 * DAY])
    caplog.clear()
    runs.run(NOW + DAY)
    assert late <= runs.written
    (line,) = [one.message for one in caplog.records if "gives no counts" in one.message]
    assert metric_of(shop, "open") in line


def test_counts_that_are_not_answered_hold_nothing_up(
    tap_on: TapOn, caplog: pytest.LogCaptureFixture
) -> None:
    """They are given up after a few tries, and the next run asks again."""
    shop = account()
    tap = tap_on(shop)
    runs = Runs(tap, shop, "open", "click", "receive")
    runs.settle(NOW)
    tap.box.faults.add("status", path=COUNTS, times=None, status=503)
    late = runs.late(metric_of(shop, "open"), NOW + 10 * DAY, [9 * DAY])
    began = tap.clock.now
    caplog.clear()
    runs.run(NOW + 11 * DAY)
    assert tap.clock.now - began < 120
    assert runs.requests()[COUNTS] <= 4 * 2
    (line,) = [one.message for one in caplog.records if "gives no counts" in one.message]
    assert "503" in line
    tap.box.faults.clear()
    runs.run(NOW + 11 * DAY + HOUR)
    assert late <= runs.written


def test_unstable_counts_are_given_up_after_three_runs(
    tap_on: TapOn, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, costs no more than the sweep, and is tried again after a week."""
    shop = account()
    runs = Runs(tap_on(shop), shop, "open")
    last = runs.settle(NOW)
    shop.set_counting(metric_of(shop, "open"), unstable=1.0, seed=3)
    caplog.clear()
    for days in range(1, 6):
        runs.run(last + days * DAY)
        assert runs.requests()[EVENTS] <= 3
    told = [one.message for one in caplog.records if "contradict each other" in one.message]
    assert len(told) == 1
    assert runs.requests()[COUNTS] == 0
    shop.clear_counting()
    runs.run(last + 11 * DAY)
    assert runs.requests()[COUNTS] > 0
    runs.run(last + 12 * DAY)
    assert not unsettled(runs.state)


def test_how_late_events_come_is_told(tap_on: TapOn, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells how late 99 % of the events came, and the latest."""
    caplog.set_level("INFO")
    shop = account()
    runs = Runs(tap_on(shop), shop, "open")
    last = runs.settle(NOW)
    caplog.clear()
    runs.late(metric_of(shop, "open"), last, [2 * DAY] * 199 + [41 * DAY])
    runs.run(last + DAY)
    assert "of 200 late events 99 % came within 3 days, the latest after 42 days" in caplog.text


def test_a_state_of_an_older_version_begins_to_remember(
    tap_on: TapOn, caplog: pytest.LogCaptureFixture
) -> None:
    """The next run begins with the newest days; the log says how far back it has come."""
    caplog.set_level("INFO")
    shop = account(events=6000)
    runs = Runs(tap_on(shop), shop, "receive", page_size=10, recount_budget=10)
    runs.run(NOW, recount_interval=0)
    assert "counts" not in json.dumps(runs.state)
    runs.run(NOW + HOUR)
    assert "days and months are still to be read, the newest before 20" in caplog.text
    periods = State(runs.state).counts("receive")[metric_of(shop, "receive")].periods
    assert periods[-1].settled
    assert periods[0].due


def test_a_later_start_date(tap_on: TapOn) -> None:
    """Days before it have no counts any more, which contradicts nothing, and late events come."""
    shop = account()
    runs = Runs(tap_on(shop), shop, "open")
    last = runs.settle(NOW)
    for days in (1, 2, 3):
        late = runs.late(metric_of(shop, "open"), last + days * DAY, [50 * DAY, 399 * DAY])
        runs.run(last + (days + 1) * DAY, start_date=utc(NOW - 400 * DAY))
        assert late <= runs.written
        assert runs.requests()[COUNTS] <= 2 + 2
    assert not any(one.strikes for one in State(runs.state).counts("open").values())
    late = runs.late(metric_of(shop, "open"), last + 4 * DAY, [900 * DAY])
    runs.run(last + 5 * DAY, start_date=utc(NOW - 400 * DAY))
    assert not late & runs.written
    runs.run(last + 6 * DAY)
    assert late <= runs.written


def test_the_state_stays_small(tap_on: TapOn) -> None:
    """Of 18 streams and three years it has some kilobytes."""
    shop = account(events=20_000)
    runs = Runs(tap_on(shop), shop, *EVENT_STREAMS)
    runs.settle(NOW)
    assert len(json.dumps(runs.state, separators=(",", ":"))) < 25_000
