"""--resync: days of a stream are read again, and the state stays."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sync_runner import NOW, Output, Tap, catalog_of, tap_of

from sandbox.account import Account, suppressed
from sandbox.server import Sandbox
from tap_klaviyo.cli import main
from tap_klaviyo.errors import ConfigError, StateError
from tap_klaviyo.state.counts import day_number, iso_day
from tap_klaviyo.streams import BY_NAME

DAY = 86_400
LATER = NOW + DAY + 60
START = "2025-06-01"
STREAMS = ("open", "clicked_sms", "events", "profiles", "global_exclusions", "reviews")
CATALOG = catalog_of(*STREAMS)


@pytest.fixture(scope="module")
def box() -> Iterator[tuple[Account, Tap, dict[str, Any]]]:
    """An account, a tap that reads it, and the state after two runs."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    account = Account.seeded(1, 2_000, "both", moment, 400, tame=True)
    with tap_of(account) as tap:
        tap.settings["start_date"] = START
        state: dict[str, Any] = {}
        for number in range(3):
            state = tap.sync(
                state, catalog_of("open", "clicked_sms"), NOW + number * DAY // 2
            ).state
        yield account, tap, state


@pytest.fixture
def account(box: tuple[Account, Tap, dict[str, Any]]) -> Account:
    """The account."""
    return box[0]


@pytest.fixture
def tap(box: tuple[Account, Tap, dict[str, Any]]) -> Tap:
    """The tap."""
    return box[1]


@pytest.fixture
def state(box: tuple[Account, Tap, dict[str, Any]]) -> dict[str, Any]:
    """The state, with keys and bookmarks that this version does not know."""
    unknown = {
        "bookmarks": {"of_another_tap": {"odd": None}},
        "currently_syncing": "open",
        "k": [1],
    }
    state = copy.deepcopy(box[2])
    bookmarks = {**unknown["bookmarks"], **state["bookmarks"]}  # type: ignore[dict-item]
    return {**unknown, "bookmarks": bookmarks}


def moments(account: Account, stream: str) -> dict[str, list[float]]:
    """The times of the records of a stream by their IDs."""
    if stream in ("open", "clicked_sms", "events"):
        order, low, high = account.log.between(None)
        names = BY_NAME[stream].metrics or None
        ids = {*account.event_ids(names, "Klaviyo" if names else None)}
        events = map(account.log.event, order[low:high])
        return {event.id: [event.timestamp] for event in events if event.id in ids or not names}
    kind = {"profiles": "profile", "global_exclusions": "profile", "reviews": "review"}[stream]
    found: dict[str, list[float]] = {}
    for resource in account.collections[kind]:
        if stream == "global_exclusions":
            texts = [entry["timestamp"] for entry in suppressed(resource)]
            texts = [max(texts)] if texts and resource.attributes["email"] else []
        else:
            texts = [resource.attributes["updated" if stream == "profiles" else "created"]]
        found[resource.id] = [datetime.fromisoformat(text).timestamp() for text in texts]
    return found


def days_of(account: Account, stream: str, *ranges: tuple[str, str]) -> set[str]:
    """The IDs of the account's records in ranges of days, both included."""
    return {
        id
        for id, times in moments(account, stream).items()
        for first, last in ranges
        for moment in times
        if day_number(first) * DAY <= moment < (day_number(last) + 1) * DAY
    }


def assert_unchanged(output: Output, state: dict[str, Any]) -> None:
    """Asserts that each STATE is, byte for byte, the one that was given."""
    states = output.of("STATE")
    assert len(states) > 1
    assert {json.dumps(message["value"]) for message in states} == {json.dumps(state)}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("days", [("2026-09-01", "2026-09-07"), ("2025-12-01", "2026-10-31")])
def test_days_are_read_again(
    account: Account, tap: Tap, state: dict[str, Any], stream: str, days: tuple[str, str]
) -> None:
    """All records of the days are written once, and no other; the state is the given one."""
    before = len(tap.box.requests)
    output = tap.resync(state, CATALOG, LATER, f"{stream}:{days[0]}..{days[1]}")
    assert output.fault is None
    assert [message["stream"] for message in output.of("SCHEMA")] == [stream]
    assert_unchanged(output, state)
    assert not output.of("ACTIVATE_VERSION")
    later: set[str] = set()
    written = Counter(output.ids[stream])
    if stream == "global_exclusions":
        # Klaviyo allows no upper bound on its date, so a page may have later ones.
        after = iso_day(day_number(days[1]) + 1)
        later = days_of(account, stream, (after, "2026-12-31"))
        written = Counter(id for id in output.ids[stream] if id not in later)
    assert written == Counter(days_of(account, stream, days) - later)
    paths = {request.path.rstrip("/") for request in tap.box.requests[before:]}
    assert paths <= {BY_NAME[stream].path, "/api/metrics"}


def test_several_ranges(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """Ranges of several streams are read in one run; what several ranges share is read once."""
    output = tap.resync(
        state,
        CATALOG,
        LATER,
        "open:2026-09-05..2026-09-20",
        "clicked_sms:2026-08-01..2026-10-31",
        "open:2026-08-01..2026-08-02",
        "open:2026-09-01..2026-09-10",
    )
    opened = days_of(account, "open", ("2026-09-01", "2026-09-20"), ("2026-08-01", "2026-08-02"))
    assert Counter(output.ids["open"]) == Counter(opened)
    clicked = days_of(account, "clicked_sms", ("2026-08-01", "2026-10-31"))
    assert Counter(output.ids["clicked_sms"]) == Counter(clicked)
    assert {message["stream"] for message in output.of("SCHEMA")} == {"open", "clicked_sms"}
    assert_unchanged(output, state)


def test_days_are_those_that_a_sync_reads(
    account: Account, tap: Tap, state: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What precedes start_date, and follows end_date or the current time, is not read."""
    settings = {"start_date": "2026-09-05T12:00:00Z", "end_date": "2026-09-20T12:00:00Z"}
    output = tap.resync(state, CATALOG, LATER, "open:2026-09-01..2026-11-30", **settings)
    times = moments(account, "open")
    start, end = (datetime.fromisoformat(t.replace("Z", "+00:00")) for t in settings.values())
    expected = {id for id, (t,) in times.items() if start.timestamp() <= t < end.timestamp()}
    assert Counter(output.ids["open"]) == Counter(expected)
    assert "is read from start_date on, 2026-09-05T12:00:00Z" in caplog.text
    today = tap.resync(state, CATALOG, NOW, "open:2026-11-01..2026-11-09")
    expected = {id for id, (t,) in times.items() if NOW - DAY // 2 <= t < NOW}
    assert Counter(today.ids["open"]) == Counter(expected)


def test_profiles_that_are_read_as_a_full_table(
    account: Account, tap: Tap, state: dict[str, Any]
) -> None:
    """A table that a sync reads in full is read by time, and nothing is deleted by it."""
    catalog = catalog_of("profiles", method="FULL_TABLE")
    days = ("2026-09-01", "2026-10-01")
    output = tap.resync(
        state, catalog, LATER, f"profiles:{days[0]}..{days[1]}", activate_version=True
    )
    assert Counter(output.ids["profiles"]) == Counter(days_of(account, "profiles", days))
    assert not output.of("ACTIVATE_VERSION")
    assert all("version" not in message for message in output.of("RECORD"))


def test_a_full_table_that_is_not_due(account: Account, tap: Tap) -> None:
    """A full table is read although its interval has not passed, and stays not due."""
    interval, catalog = {"full_table_interval": "P30D"}, catalog_of("reviews")
    state = tap.sync({}, catalog, NOW, **interval).state
    output = tap.resync(state, catalog, NOW + 60, "reviews:2026-01-01..2026-10-31", **interval)
    expected = days_of(account, "reviews", ("2026-01-01", "2026-10-31"))
    assert Counter(output.ids["reviews"]) == Counter(expected)
    assert_unchanged(output, state)


def test_files(account: Account, tap: Tap, state: dict[str, Any], tmp_path: Path) -> None:
    """Records are written to files, and the state stays unchanged, with batch_config."""
    batches = {
        "encoding": {"format": "jsonl", "compression": "none"},
        "storage": {"root": tmp_path.as_uri()},
    }
    output = tap.resync(
        *(state, CATALOG, LATER, "open:2026-09-01..2026-10-31"), batch_config=batches
    )
    files = [Path(url.removeprefix("file://")) for m in output.of("BATCH") for url in m["manifest"]]
    ids = [json.loads(line)["id"] for file in files for line in file.read_text().splitlines()]
    expected = days_of(account, "open", ("2026-09-01", "2026-10-31"))
    assert Counter(ids) == Counter(expected)
    assert_unchanged(output, state)


def test_a_run_that_is_stopped(tap: Tap, state: dict[str, Any]) -> None:
    """A run that is stopped leaves the state unchanged, too."""
    output = tap.resync(
        *(state, CATALOG, LATER, "events:2025-12-01..2026-10-31"),
        stop_at=lambda message: message["type"] == "RECORD",
        page_size=10,
    )
    assert 0 < len(output.ids["events"]) < 1_000
    assert_unchanged(output, state)


def test_a_row_that_a_target_has_lost(account: Account, tap: Tap, state: dict[str, Any]) -> None:
    """A verification names the day of a lost row, and reading it again brings the row back."""
    rows = {id: int(times[0]) // DAY for id, times in moments(account, "open").items()}
    lost = min(rows, key=lambda id: abs(rows[id] * DAY - (NOW - 50 * DAY)))
    target = {id: day for id, day in rows.items() if id != lost}
    catalog = catalog_of("open")
    found = tap.verify(state, catalog, LATER, {"open": Counter(target.values())}).target
    assert found is not None
    (missing,) = found.missing
    output = tap.resync(state, catalog, LATER, str(missing.days))
    assert lost in output.ids["open"]
    target |= {id: rows[id] for id in output.ids["open"]}
    assert tap.verify(state, catalog, LATER, {"open": Counter(target.values())}).complete
    later = tap.sync(output.state, catalog, LATER + 3600)
    assert later.state["bookmarks"]["open"]["timestamp"] == LATER + 3600


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("open", "expected a stream, its first and its last day (UTC), such as open:2026-01-30"),
        ("open:2026-09-01", "not 'open:2026-09-01'."),
        ("open:2026-09-01..", "not 'open:2026-09-01..'."),
        ("open:2026-09-02..2026-09-01", "not 'open:2026-09-02..2026-09-01'."),
        ("open:2026-09-01..2026-09-31", "not 'open:2026-09-01..2026-09-31'."),
        ("open:09/01/2026..09/02/2026", "not 'open:09/01/2026..09/02/2026'."),
        ("open:2026-09-01T00:00:00Z..2026-09-02", "not 'open:2026-09-01T00:00:00Z..2026-09-02'."),
        (":2026-09-01..2026-09-02", "not ':2026-09-01..2026-09-02'."),
        ("opne:2026-09-01..2026-09-02", "no stream 'opne' is selected (did you mean 'open'?)"),
        ("bounce:2026-09-01..2026-09-02", "no stream 'bounce' is selected; select it in the cat"),
        ("templates:2026-09-01..2026-09-02", "stream 'templates' is not read by time: a sync"),
        ("list_members:2026-09-01..2026-09-02", "stream 'list_members' is read for each of its"),
        ("metric_aggregates:2026-09-01..2026-09-02", "stream 'metric_aggregates' is a report: "),
        ("open:2026-11-03..2026-11-04", "begins after the current time, 2026-11-02T12:01:00Z."),
        ("open:2025-05-30..2025-05-31", "ends before start_date, 2025-06-01T00:00:00Z; set an"),
        ("open:9999-12-31..9999-12-31", "begins after the current time"),
    ],
)
def test_wrong_days(tap: Tap, state: dict[str, Any], days: str, expected: str) -> None:
    """What cannot be read again is one line that says what to do, and nothing is requested."""
    streams = ("open", "templates", "list_members", "metric_aggregates", "profiles")
    before = len(tap.box.requests)
    with pytest.raises(ConfigError) as caught:
        tap.resync(state, catalog_of(*streams), LATER, "profiles:2026-09-01..2026-09-01", days)
    assert str(caught.value).startswith("resync: ")
    assert expected in str(caught.value)
    assert len(tap.box.requests) == before


def test_end_date_and_no_state(tap: Tap, state: dict[str, Any]) -> None:
    """Days after end_date cannot be read; without a state, the target would get an empty one."""
    with pytest.raises(ConfigError, match="begins after end_date, 2026-08-01T00:00:00Z"):
        tap.resync(state, CATALOG, LATER, "open:2026-08-01..2026-08-02", end_date="2026-08-01")
    with pytest.raises(StateError, match="pass the state of the last run"):
        tap.resync({}, CATALOG, LATER, "open:2026-08-01..2026-08-02")


@pytest.fixture
def no_faults(tap: Tap) -> Iterator[Sandbox]:
    """The sandbox, whose faults are removed afterwards."""
    yield tap.box
    tap.box.faults.clear()


@pytest.mark.parametrize(
    ("days", "fault", "code", "last"),
    [
        ("open:2026-09-01..2026-09-30", None, 0, "Complete. Read "),
        ("open:2026-09-01..2026-08-30", None, 2, "resync: expected a stream, "),
        ("open:2026-09-01..2026-09-30", 403, 3, "A new run starts from the same state."),
    ],
)
@pytest.mark.usefixtures("clock")
def test_the_command(
    tap: Tap,
    state: dict[str, Any],
    no_faults: Sandbox,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    days: str,
    fault: int | None,
    code: int,
    last: str,
) -> None:
    """The command writes messages as a sync does, and ends with the same exit codes."""
    if fault:
        no_faults.faults.add("status", path="/api/events", status=fault, times=None)
    arguments = ["--resync", days]
    for name, document in {"config": tap.settings, "state": state, "catalog": CATALOG}.items():
        (tmp_path / name).write_text(json.dumps(document))
        arguments += [f"--{name}", str(tmp_path / name)]
    assert main(arguments) == code
    shown = capfd.readouterr()
    assert last in shown.err.splitlines()[-1]
    messages = [json.loads(line) for line in shown.out.splitlines()]
    if code == 0:
        assert messages[-1] == {"type": "STATE", "value": state}
        assert Counter(message["type"] for message in messages)["SCHEMA"] == 1
