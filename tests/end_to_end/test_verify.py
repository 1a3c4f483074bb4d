"""--verify against an account: its numbers are those of the account, whatever Klaviyo counts."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sync_runner import NOW, Tap, catalog_of, tap_of

from sandbox.account import Account
from tap_klaviyo.cli import main
from tap_klaviyo.config.loading import parse_metric_streams
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.state.counts import day_number, iso_day
from tap_klaviyo.verify.counting import UNSTABLE
from tap_klaviyo.verify.render import conclusion, rendered
from tap_klaviyo.verify.verification import LEFT, NO_METRIC, NOT_EVENTS, Verification

DAY = 86_400
VERIFIED = NOW + DAY + 60
"""The time of the verification, after a first run and a recount a day later."""

METRICS = {
    "Opened Email": "open",
    "Clicked SMS": "clicked_sms",
    "Clicked Text Message": "clicked_sms",
}
CATALOG = catalog_of("open", "clicked_sms")
START = "2025-06-01"


@pytest.fixture(scope="module")
def box() -> Iterator[tuple[Account, Tap, dict[str, Any]]]:
    """An account, a tap that reads it, and the state after all of it has been read and counted."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    account = Account.seeded(1, 2_000, "both", moment, 400, tame=True)
    with tap_of(account) as tap:
        tap.settings["start_date"] = START
        state: dict[str, Any] = {}
        for number in range(3):
            state = tap.sync(state, CATALOG, NOW + number * DAY // 2).state
        yield account, tap, state


@pytest.fixture
def account(box: tuple[Account, Tap, dict[str, Any]]) -> Iterator[Account]:
    """The account; what a test lets arrive, and the rules that it sets, are removed afterwards."""
    account = box[0]
    before = set(account.event_ids_of(None))
    yield account
    account.clear_counting()
    account.delete_events(set(account.event_ids_of(None)) - before)


@pytest.fixture
def tap(box: tuple[Account, Tap, dict[str, Any]]) -> Tap:
    """The tap."""
    return box[1]


@pytest.fixture
def state(box: tuple[Account, Tap, dict[str, Any]]) -> dict[str, Any]:
    """The state."""
    return copy.deepcopy(box[2])


def truth(account: Account, metric: str) -> Counter[str]:
    """The account's own counts of a metric by month, of the days that have ended."""
    months: Counter[str] = Counter()
    for day, count in account.counts(metric).items():
        if START <= day <= "2026-11-01":
            months[day[:7]] += count
    return months


def by_metric(verification: Verification) -> dict[str, dict[str, int]]:
    """Klaviyo's counts by the name of a metric and month."""
    return {
        metric.name: {month.month: month.count for month in metric.months}
        for metric in verification.metrics
    }


def reasons(verification: Verification) -> dict[str, Counter[str]]:
    """The numbers of events by stream and reason."""
    found: dict[str, Counter[str]] = {metric.stream: Counter() for metric in verification.metrics}
    for metric in verification.metrics:
        for month in metric.months:
            found[metric.stream].update(month.reasons)
    return found


def test_all_has_been_read(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """The counts are the account's, and so is what the readings brought; no event is read."""
    before = len(tap.box.requests)
    found = tap.verify(state, CATALOG, VERIFIED)
    assert by_metric(found) == {name: truth(account, name) for name in METRICS}
    for metric in found.metrics:
        assert metric.months
        assert metric.until == "2026-11-01"
        for month in metric.months:
            assert (month.last_count, month.brought) == (month.count, month.count)
            assert not month.reasons
    assert conclusion(found).startswith("Nothing is due: ")
    paths = Counter(request.path.rstrip("/") for request in tap.box.requests[before:])
    assert paths.keys() == {"/api/metric-aggregates", "/api/metrics"}
    # More than a year takes two requests for each metric.
    assert paths["/api/metric-aggregates"] == 2 * len(METRICS)


LATE = [NOW - 300 * DAY, NOW - 40 * DAY, NOW - 40 * DAY]


def test_late_events(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """Months that have grown are named with the numbers of events, until a run has read them."""
    account.arrive("Opened Email", timestamps=LATE, now=VERIFIED)
    found = tap.verify(state, CATALOG, VERIFIED)
    grown = {
        month.month: month.change for metric in found.to_be_read for month in metric.to_be_read
    }
    assert grown == {"2026-01": 1, "2026-09": 2}
    assert reasons(found) == {"open": {"grown": 3}, "clicked_sms": {}}
    assert conclusion(found).startswith("Not all has been read: 3 events of open ")
    later = tap.sync(state, CATALOG, VERIFIED + DAY).state
    found = tap.verify(later, CATALOG, VERIFIED + DAY)
    assert not found.to_be_read
    assert by_metric(found)["Opened Email"]["2026-01"] == truth(account, "Opened Email")["2026-01"]


def test_deleted_events(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """Counts that have fallen are shown, nothing is due, and a target may delete these, too."""
    made = account.arrive("Opened Email", timestamps=LATE, now=VERIFIED)
    later = tap.sync(state, CATALOG, VERIFIED + DAY).state
    account.delete_events(event.id for event in made)
    found = tap.verify(later, CATALOG, VERIFIED + DAY)
    assert reasons(found) == {"open": {"fell": 3}, "clicked_sms": {}}
    assert not found.to_be_read
    held, end = held_by_target(account), VERIFIED + 2 * DAY + 60
    assert not tap.verify(later, CATALOG, VERIFIED + DAY, held).complete
    later = tap.sync(later, CATALOG, end).state
    assert tap.verify(later, CATALOG, end, held).complete


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"factor": 2}, "more"),
        ({"leaves_out": 2}, "fewer"),
        ({"leaves_out": 1}, "fewer"),
    ],
)
def test_counts_that_are_not_those_of_the_list(
    account: Account, tap: Tap, rules: dict[str, Any], reason: str
) -> None:
    """If Klaviyo always counts more or fewer events than it lists, that is said; nothing is due."""
    account.set_counting("Opened Email", **rules)
    state: dict[str, Any] = {}
    for number in range(5):
        state = tap.sync(state, CATALOG, NOW + number * DAY // 2).state
    found = tap.verify(state, CATALOG, NOW + 2 * DAY + 60)
    assert {*reasons(found)["open"]} <= {reason}
    assert not found.to_be_read
    shown = rendered(found, "text")
    assert [line.split()[1] for line in shown.splitlines()[1:]] == ["total", "total"]


def test_a_list_that_lags(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """Where fewer events were listed than counted, a run reads once more, and nothing is due."""
    account.set_counting("Opened Email", list_lag=1e12)
    account.arrive("Opened Email", timestamps=LATE, now=VERIFIED)
    later = tap.sync(state, CATALOG, VERIFIED + DAY).state
    found = tap.verify(later, CATALOG, VERIFIED + DAY)
    assert reasons(found)["open"] == {"short": 3}
    assert not found.to_be_read


def problems(verification: Verification) -> dict[str, str]:
    """The problems by metric."""
    return {metric.name: metric.problem for metric in verification.metrics if metric.problem}


def test_a_metric_without_counts(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """A metric that Klaviyo does not count is named with the reason, and nothing is due."""
    account.set_counting("Clicked SMS", unsupported=True)
    found = tap.verify(state, CATALOG, VERIFIED)
    assert found.error is None
    assert not found.to_be_read
    assert {*problems(found)} == {"Clicked SMS"}
    assert "cannot be aggregated" in problems(found)["Clicked SMS"]


def test_counts_that_are_not_answered(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """A metric for which Klaviyo fails is named, the others are compared, and the error is kept."""
    (failing,) = state["bookmarks"]["open"]["metrics"]
    tap.box.faults.add(
        "status", path="/api/metric-aggregates", status=503, sent=failing, times=None
    )
    found = tap.verify(state, CATALOG, VERIFIED, max_retry_wait=5)
    tap.box.faults.clear()
    assert {*problems(found)} == {"Opened Email"}
    assert all(metric.months for metric in found.metrics if not metric.problem)
    assert "Klaviyo fails at /api/metric-aggregates (503)" in str(found.error)
    assert not found.to_be_read
    assert json.loads(rendered(found, "json"))["error"] == str(found.error)


@pytest.mark.parametrize("known", [False, True])
def test_unstable_counts(account: Account, tap: Tap, state: dict[str, Any], known: bool) -> None:
    """Counts that contradict each other are not compared: this time, or in three runs before."""
    if known:
        for counts in state["bookmarks"]["open"]["counts"].values():
            counts["strikes"] = 3
    else:
        account.set_counting("Opened Email", unstable=0.5)
    found = tap.verify(state, CATALOG, VERIFIED)
    assert problems(found) == {"Opened Email": UNSTABLE}
    assert not found.to_be_read


def test_a_later_start_date(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """What the state remembers of earlier months is not compared; the others are, as before."""
    account.arrive("Opened Email", timestamps=LATE, now=VERIFIED)
    found = tap.verify(state, CATALOG, VERIFIED, start_date="2026-03-10")
    assert not problems(found)
    assert min(metric.months[0].month for metric in found.metrics) == "2026-03"
    assert reasons(found)["open"]["grown"] == 2


def test_a_state_without_counts(account: Account, tap: Tap) -> None:
    """What was read is not compared before it was counted; without a state nothing was read."""
    state = tap.sync({}, CATALOG, NOW).state
    for bookmark in state["bookmarks"].values():
        bookmark.pop("counts", None)
    events = {
        stream: sum(
            sum(truth(account, name).values()) for name in METRICS if METRICS[name] == stream
        )
        for stream in METRICS.values()
    }
    for given, reason in ((state, "uncounted"), ({}, "unread")):
        found = tap.verify(given, CATALOG, VERIFIED)
        assert reasons(found) == {stream: {reason: n} for stream, n in events.items()}
        assert found.to_be_read


def test_recounts_that_are_off(
    account: Account, tap: Tap, state: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What was counted before is compared, and a warning says that no run goes on with it."""
    assert tap.verify(state, CATALOG, VERIFIED, recount_interval=0).complete
    assert "recount_interval is 0" in caplog.text


def test_what_is_not_verified(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """Other streams, those without a metric, and metrics that have left are named with reasons."""
    counts = state["bookmarks"]["open"]["counts"]
    counts["GoNe00"] = next(iter(counts.values()))
    own = {"metric_streams": {"quiz": "No such metric"}}
    (quiz,) = build_catalog(parse_metric_streams(own))["streams"]
    catalog = {"streams": [*catalog_of("open", "profiles", "flows")["streams"], quiz]}
    found = tap.verify(state, catalog, VERIFIED, **own)
    left = [metric.problem for metric in found.metrics if metric.metric == "GoNe00"]
    assert left == [LEFT]
    assert found.not_verified == {"quiz": NO_METRIC, "profiles": NOT_EVENTS, "flows": NOT_EVENTS}
    assert not found.to_be_read


def test_profile_counts(account: Account, tap: Tap) -> None:
    """Lists and segments have the number of profiles that Klaviyo counts, at its rate limit."""
    before = tap.clock.now
    found = tap.verify({}, catalog_of("lists", "segments"), VERIFIED)
    counts = {(one.stream, one.id): one.profile_count for one in found.profile_counts}
    assert counts == {
        (f"{kind}s", group.id): group.attributes["profile_count"]
        for kind in ("list", "segment")
        for group in account.collections[kind]
    }
    lists = len(account.ids("list"))
    assert tap.clock.now - before > (lists // 15) * 60 - 60
    assert found.metrics == ()
    assert not found.not_verified


def test_a_list_that_is_deleted_in_the_meantime(account: Account, tap: Tap) -> None:
    """A list that Klaviyo no longer knows is left out."""
    gone = account.ids("list")[0]
    tap.box.faults.add("status", path=f"/api/lists/{gone}", status=404, times=1)
    found = tap.verify({}, catalog_of("lists"), VERIFIED)
    assert {one.id for one in found.profile_counts} == {*account.ids("list")} - {gone}


def held_by_target(account: Account) -> dict[str, Counter[int]]:
    """The events of the account by stream and the number of the day."""
    held: dict[str, Counter[int]] = {stream: Counter() for stream in METRICS.values()}
    for name, stream in METRICS.items():
        held[stream].update({day_number(day): n for day, n in account.counts(name).items()})
    return held


def test_a_target_that_lacks_nothing(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """A target that holds all events, or more, lacks nothing."""
    held = held_by_target(account)
    found = tap.verify(state, CATALOG, VERIFIED, held)
    assert found.target is not None
    assert (found.target.missing, found.target.not_compared) == ((), ())
    assert found.complete
    total = sum(sum(truth(account, name).values()) for name in METRICS)
    assert found.target.events == total
    assert f"The target holds what was read: {total:,} events compared." in conclusion(found)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("oldest", [False, True])
def test_a_row_that_a_target_lacks(
    account: Account, tap: Tap, state: dict[str, Any], metric: str, oldest: bool
) -> None:
    """The day, or long ago the month, of a row that a target lacks is named, and no other one."""
    days = sorted(day for day in account.counts(metric) if START <= day <= "2026-10-31")
    day = day_number(days[0 if oldest else -1])
    held = held_by_target(account)
    held[METRICS[metric]][day] -= 1
    found = tap.verify(state, CATALOG, VERIFIED, held)
    assert found.target is not None
    (missing,) = found.target.missing
    stream, first, end = missing.days
    assert stream == METRICS[metric]
    assert first <= day < end
    is_month = day < VERIFIED // DAY - 100
    assert (end - first > 27) if is_month else (end - first == 1)
    assert missing.brought - missing.held == 1
    assert not found.complete
    assert f"{missing.days}  " in rendered(found, "text")
    assert "The target lacks 1 event of" in conclusion(found)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("late", "lacking", "code"), [([], None, 0), ([], 0, 0), (LATE, None, 1), ([], 2, 1)]
)
@pytest.mark.usefixtures("clock")
def test_the_command(
    account: Account,
    tap: Tap,
    state: dict[str, Any],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    late: list[int],
    lacking: int | None,
    code: int,
    form: str,
) -> None:
    """The command prints what was found to stdout, and exits with 1 if something is left to do."""
    account.arrive("Opened Email", timestamps=late, now=VERIFIED)
    documents = {"config": tap.settings, "state": state, "catalog": CATALOG}
    arguments = ["--verify", "--format", form]
    for name, document in documents.items():
        (tmp_path / name).write_text(json.dumps(document))
        arguments += [f"--{name}", str(tmp_path / name)]
    named = "open:"
    if lacking is not None:
        held = held_by_target(account)
        day = max(d for d, n in held["open"].items() if n > 1 and d < VERIFIED // DAY)
        held["open"][day] -= lacking
        named = f"open:{iso_day(day)}..{iso_day(day)}"
        rows = [f"{name},{iso_day(d)},{n}" for name, days in held.items() for d, n in days.items()]
        (tmp_path / "counts.csv").write_text("\n".join(["stream,day,count", *rows]))
        arguments += ["--target-counts", str(tmp_path / "counts.csv")]
    assert main(arguments) == code
    shown = capfd.readouterr()
    last = shown.err.splitlines()[-1]
    assert ("Not all has been read: 3 events of open are" in last) == bool(late)
    assert ("The target lacks 2 events of open: " in last) == bool(lacking)
    assert "CRITICAL" not in last
    if form == "text":
        assert shown.out.splitlines()[0].startswith("stream ")
        assert (f"{named} " in shown.out) == bool(lacking)
        return
    document = json.loads(shown.out)
    assert document["message"] in last
    assert (document["to_be_read"], document["complete"]) == (bool(late), not code)
    months = [month for metric in document["metrics"] for month in metric["months"]]
    assert sum(month["change"] for month in months) == len(late)
    missing = (document["target"] or {"missing": []})["missing"]
    assert [one["days"] for one in missing] == [named] * bool(lacking)
