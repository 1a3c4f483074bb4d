"""`full_table_interval`: a full table is due again after its interval, and remembered till then."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from expected_keys import assert_complete
from sync_runner import NOW, Message, Output, Tap, catalog_of

from sandbox.account import Account
from tap_klaviyo import Tap as Library
from tap_klaviyo.dates import utc
from tap_klaviyo.ending import SummaryFile, complete

TapOn = Callable[..., Tap]

HOUR, DAY = 3600, 86_400
DAILY = {"full_table_interval": "P1D"}


def account() -> Account:
    """A small account as of NOW."""
    return Account.seeded(seed=8, events=400, now=datetime.fromtimestamp(NOW, timezone.utc))


def read(output: Output) -> set[str]:
    """The streams of which records were written."""
    return {message["stream"] for message in output.of("RECORD")}


def activated(output: Output) -> set[str]:
    """The streams whose version was activated."""
    return {message["stream"] for message in output.of("ACTIVATE_VERSION")}


def schemas(output: Output) -> set[str]:
    """The streams with a SCHEMA."""
    return {message["stream"] for message in output.of("SCHEMA")}


def read_at(output: Output) -> dict[str, int]:
    """When each stream was last read in full, according to the state."""
    return {
        stream: bookmark["full_table_read_at"]
        for stream, bookmark in output.state["bookmarks"].items()
        if "full_table_read_at" in bookmark
    }


@pytest.mark.parametrize(
    ("setting", "after", "due"),
    [
        ("P1D", HOUR, set()),
        ("P1D", DAY - 1, set()),
        ("P1D", DAY, {"lists", "tags", "templates"}),
        (86_400, DAY - 1, set()),
        ("PT0S", 1, {"lists", "tags", "templates"}),
        (None, 1, {"lists", "tags", "templates"}),
        ({"templates": "P1D"}, HOUR, {"lists", "tags"}),
        ({"t*": "P1D"}, HOUR, {"lists"}),
        ({"*": "P1D", "tags": "PT1H"}, HOUR, {"tags"}),
        ({"t*": "PT1H", "temp*": "P1D"}, HOUR, {"lists", "tags"}),
        ({"tags": 1, "????": "P1D", "[t]ag[s]": "P1D"}, HOUR, {"lists", "templates", "tags"}),
    ],
)
def test_a_table_is_due_after_its_interval(
    tap_on: TapOn, setting: Any, after: int, due: set[str]
) -> None:
    """A table is read again when the interval has passed since the start of its last read."""
    tap, catalog = tap_on(account()), catalog_of("lists", "tags", "templates")
    options = {"catalog": catalog, "full_table_interval": setting}
    first = tap.sync(now=NOW, **options)
    assert read(first) == {"lists", "tags", "templates"}
    second = tap.sync(first.state, now=NOW + after, **options)
    assert read(second) == due
    assert schemas(second) == {"lists", "tags", "templates"}
    assert_complete(tap.box.account, second, *due)


def test_what_is_not_due_takes_no_request(tap_on: TapOn) -> None:
    """A run in which nothing is due requests nothing, and its state is that of the run before."""
    tap, catalog = tap_on(account()), catalog_of("templates", "lists", "list_members")
    first = tap.sync(now=NOW, catalog=catalog, **DAILY)
    tap.box.requests.clear()
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog, **DAILY)
    assert not tap.box.requests
    assert second.fault is None
    assert second.state == first.state


def test_a_table_is_not_remembered_if_each_run_reads_it(tap_on: TapOn) -> None:
    """Without the setting the state holds nothing of full tables, and removes what it held."""
    tap, catalog = tap_on(account()), catalog_of("lists", "tags")
    assert not read_at(tap.sync(now=NOW, catalog=catalog))
    daily = tap.sync(now=NOW, catalog=catalog, **DAILY)
    assert read_at(daily) == {"lists": NOW, "tags": NOW}
    assert not read_at(tap.sync(daily.state, now=NOW + HOUR, catalog=catalog))


CHANGES: dict[str, dict[str, Any]] = {
    "a field deselected": {"catalog": catalog_of("templates", without=("templates.html", "html"))},
    "a field selected": {"catalog": catalog_of("templates", all_fields=True)},
    "versions": {"catalog": catalog_of("templates"), "activate_version": True},
    "a clock set back": {"catalog": catalog_of("templates"), "now": NOW - 1},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_makes_a_table_due(tap_on: TapOn, change: dict[str, Any]) -> None:
    """Another selection, a switched activate_version and a time before the read make it due."""
    tap = tap_on(account())
    first = tap.sync(now=NOW, catalog=catalog_of("templates"), **DAILY)
    second = tap.sync(first.state, **{"now": NOW + HOUR, **DAILY, **change})
    assert_complete(tap.box.account, second, "templates")


def test_a_table_of_another_name_is_due(tap_on: TapOn) -> None:
    """A stream that the catalog renames has an empty table."""
    tap, catalog = tap_on(account()), catalog_of("templates")
    first = tap.sync(now=NOW, catalog=catalog, **DAILY)
    catalog["streams"][0]["stream"] = "designs"
    assert read(tap.sync(first.state, now=NOW + HOUR, catalog=catalog, **DAILY)) == {"designs"}


def test_a_lost_state_makes_all_due(tap_on: TapOn) -> None:
    """Without a state all tables are read."""
    tap, catalog = tap_on(account()), catalog_of("lists", "tags")
    tap.sync(now=NOW, catalog=catalog, **DAILY)
    assert read(tap.sync(now=NOW + HOUR, catalog=catalog, **DAILY)) == {"lists", "tags"}


def test_a_parent_that_is_not_due_is_read_for_its_children(tap_on: TapOn) -> None:
    """Of a parent that is not due only the IDs are requested, and no record is written."""
    tap, catalog = tap_on(account()), catalog_of("lists", "list_members")
    options: dict[str, Any] = {
        "catalog": catalog,
        "activate_version": True,
        "full_table_interval": {"lists": "P1D"},
    }
    first = tap.sync(now=NOW, **options)
    assert activated(first) == {"lists", "list_members"}
    tap.box.requests.clear()
    second = tap.sync(first.state, now=NOW + HOUR, **options)
    assert read(second) == activated(second) == {"list_members"}
    assert_complete(tap.box.account, second, "list_members")
    queries = [
        dict(seen.query) for seen in tap.box.requests if seen.path.rstrip("/") == "/api/lists"
    ]
    assert {query["fields[list]"] for query in queries} == {"id"}


def test_children_that_are_not_due_are_not_requested(tap_on: TapOn) -> None:
    """A parent that is due is read without its children that are not."""
    tap, catalog = tap_on(account()), catalog_of("lists", "list_members")
    options = {"catalog": catalog, "full_table_interval": {"list_members": "P1D"}}
    first = tap.sync(now=NOW, **options)
    tap.box.requests.clear()
    assert read(tap.sync(first.state, now=NOW + HOUR, **options)) == {"lists"}
    assert {seen.path.rstrip("/") for seen in tap.box.requests} == {"/api/lists"}


def test_an_incremental_stream_is_always_due(tap_on: TapOn) -> None:
    """Streams that are read from a bookmark are read by each run, whatever their parent is."""
    tap = tap_on(account())
    catalog = catalog_of("lists", "list_members", "open", method="INCREMENTAL")
    first = tap.sync(now=NOW, catalog=catalog, **DAILY)
    assert read_at(first) == {"lists": NOW}
    tap.box.account.arrive("Opened Email", timestamps=[NOW + 60])
    tap.box.account.join(
        tap.box.account.ids("list")[0], tap.box.account.ids("profile")[0], timestamp=NOW + 60
    )
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog, **DAILY)
    assert read(second) == {"list_members", "open"}


def test_profiles_in_full_are_due_after_the_interval(tap_on: TapOn) -> None:
    """profiles as a full table keep their bookmark beside the time of the last full read."""
    tap, full = tap_on(account()), catalog_of("profiles", method="FULL_TABLE")
    first = tap.sync(now=NOW, catalog=catalog_of("profiles"), **DAILY)
    second = tap.sync(first.state, now=NOW + HOUR, catalog=full, **DAILY)
    assert read(second) == {"profiles"}
    third = tap.sync(second.state, now=NOW + 2 * HOUR, catalog=full, **DAILY)
    assert not read(third)
    bookmark = third.state["bookmarks"]["profiles"]
    assert bookmark["timestamp"] == first.state["bookmarks"]["profiles"]["timestamp"]


def test_a_run_that_is_stopped_keeps_what_it_has_read(tap_on: TapOn) -> None:
    """A table that was complete is not due in the next run; an unfinished one is."""

    def is_tag(message: Message) -> bool:
        return message["type"] == "RECORD" and message["stream"] == "tags"

    tap, catalog = tap_on(account()), catalog_of("lists", "tags")
    first = tap.sync(now=NOW, catalog=catalog, concurrency=1, stop_at=is_tag, **DAILY)
    assert read_at(first) == {"lists": NOW}
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog, **DAILY)
    assert read(second) == {"tags"}
    assert read_at(second) == {"lists": NOW, "tags": NOW + HOUR}


def test_a_table_that_failed_is_due(tap_on: TapOn) -> None:
    """A read that ends with an error, of the stream or its parent, does not count."""
    tap, catalog = tap_on(account()), catalog_of("lists", "list_members", "tags")
    tap.box.faults.add("status", path="/api/lists", at=2, times=1, status=403)
    first = tap.sync(now=NOW, catalog=catalog, **DAILY)
    assert read_at(first) == {"tags": NOW}
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog, **DAILY)
    assert_complete(tap.box.account, second, "lists", "list_members")
    assert read(second) == {"lists", "list_members"}


def test_nothing_is_written_if_klaviyo_never_answers(tap_on: TapOn) -> None:
    """Tables that are not due do not make a run that reads nothing write anything."""
    tap = tap_on(account())
    first = tap.sync(now=NOW, catalog=catalog_of("lists"), **DAILY)
    tap.box.faults.add("status", path="/api/*", times=None, status=503)
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog_of("lists", "tags"), **DAILY)
    assert second.fault is not None
    assert not second.messages


def test_a_run_says_what_is_not_due(tap_on: TapOn, caplog: pytest.LogCaptureFixture) -> None:
    """One line names all tables that are not due, and until when."""
    tap, catalog = tap_on(account()), catalog_of("lists", "tags", "templates")
    options = {
        "catalog": catalog,
        "full_table_interval": {"lists": "P1D", "tags": "P1D", "templates": "P2D"},
    }
    first = tap.sync(now=NOW, **options)
    caplog.set_level(logging.INFO, "tap_klaviyo")
    caplog.clear()
    tap.sync(first.state, now=NOW + HOUR, **options)
    assert [line for line in caplog.messages if "not due" in line] == [
        "full_table_interval: not read, not due until 2026-11-02T12:00:00Z (lists, tags), "
        "2026-11-03T12:00:00Z (templates)."
    ]


def test_the_summary_says_what_is_not_due(tap_on: TapOn, tmp_path: Path) -> None:
    """A table that is not due has a status of its own, and the time when it is due."""
    tap, messages = tap_on(account()), list[bytes]()
    settings = {**tap.settings, **DAILY}
    first = Library(settings, select="tags").sync(messages.append)
    assert [(one.status, one.not_due_until) for one in first.streams] == [("complete", None)]
    state = json.loads(messages[-1].splitlines()[-1])["value"]
    read_at = state["bookmarks"]["tags"]["full_table_read_at"]
    second = Library(settings, state=state, select="tags,tag_groups").sync(messages.append)
    assert second.complete
    statuses = {one.stream: (one.status, one.not_due_until) for one in second.streams}
    assert statuses == {"tags": ("not_due", read_at + DAY), "tag_groups": ("complete", None)}
    ending = complete(summary=second)
    assert f"{second.records} records of 1 streams" in ending.message
    SummaryFile(str(tmp_path / "summary.json")).end(ending)
    document = json.loads((tmp_path / "summary.json").read_text())
    assert document["status"] == "complete"
    tags = next(one for one in document["streams"] if one["stream"] == "tags")
    assert (tags["status"], tags["not_due_until"]) == ("not_due", utc(read_at + DAY))
