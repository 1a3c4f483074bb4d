"""Reports: rows, restated values, new reports and daily quotas."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from sync_runner import NOW, Output, Tap, catalog_of

from sandbox.account import Account
from tap_klaviyo.streams import STREAMS

DAY = 86_400
REPORTS = {stream.name: stream for stream in STREAMS if stream.report}
START = "2026-06-01"

TapOn = Callable[..., Tap]
Record = dict[str, Any]


@pytest.fixture
def account() -> Account:
    """A small account with events in the ninety days before NOW."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    return Account.seeded(seed=1, events=3000, now=moment)


@pytest.fixture
def tap(tap_on: TapOn, account: Account) -> Tap:
    """A tap with a start_date before the first event."""
    tap = tap_on(account)
    tap.settings["start_date"] = START
    return tap


def catalog(*names: str) -> dict[str, Any]:
    """A catalog that selects these report streams."""
    chosen = catalog_of(*names)
    for entry in chosen["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = True
    return chosen


def read(tap: Tap, *names: str, state: Any = None, now: float = NOW, **settings: Any) -> Output:
    """Runs a sync of these streams only, which must succeed."""
    output = tap.sync(state, catalog(*names), now, **settings)
    assert output.fault is None
    return output


def keys(output: Output, stream: str) -> list[tuple[Any, ...]]:
    """The keys of all records of a stream."""
    return [tuple(r[key] for key in REPORTS[stream].keys) for r in output.records(stream)]


def totals(records: list[Record], by: str, statistic: str) -> dict[str, float]:
    """The non-zero sums of a statistic, grouped by a property."""
    found: dict[str, float] = defaultdict(float)
    for record in records:
        found[record[by]] += record[statistic]
    return {name: total for name, total in found.items() if total}


def sent(account: Account, metric: str) -> Counter[str]:
    """The number of events of one of Klaviyo's metrics by message."""
    found = Counter[str]()
    for one in account.collections["metric"]:
        if one.attributes["name"] == metric and one.attributes["integration"]["name"] == "Klaviyo":
            for position in account.log.positions(one):
                found[account.log.properties(position).get("$message", "")] += 1
    return found


@pytest.mark.parametrize("whole_days", [True, False])
@pytest.mark.parametrize("stream", REPORTS)
def test_rows(tap: Tap, account: Account, stream: str, whole_days: bool) -> None:
    """Each report has rows that fit the schema and have unique keys and the account's dates."""
    account.whole_days = whole_days
    (attributes,) = [one.attributes for one in account.collections["account"]]
    zone = ZoneInfo(attributes["timezone"])
    output = read(tap, stream)
    (schema,) = output.of("SCHEMA")
    validator = jsonschema.Draft4Validator(schema["schema"])
    for record in output.records(stream):
        validator.validate(record)
        assert record["report"] == "default"
        moment = datetime.fromisoformat(record[REPORTS[stream].keys[1]].replace("Z", "+00:00"))
        assert record["local_date"] == moment.astimezone(zone).date().isoformat()
    found = keys(output, stream)
    assert found
    assert len(found) == len(set(found))
    assert schema["key_properties"] == list(REPORTS[stream].keys)


@pytest.mark.parametrize("whole_days", [True, False])
@pytest.mark.parametrize("interval", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("kind", ["campaign", "flow"])
def test_numbers_of_messages(
    tap: Tap, account: Account, kind: str, interval: str, whole_days: bool
) -> None:
    """The sum over all days, weeks or months of a message equals its number of events.

    That holds if Klaviyo includes the whole day of a timeframe's end, and if it ends at its time.
    """
    stream = f"{kind}_values_report"
    account.whole_days = whole_days
    reports = {"default": {"stream": stream, "interval": interval}}
    records = read(tap, stream, reports=reports).records(stream)
    reported = totals(records, f"{kind}_message_id", "opens")
    opened = sent(account, "Opened Email")
    assert reported
    assert reported == {message: opened[message] for message in reported}


@pytest.mark.parametrize("whole_days", [True, False])
def test_a_series_agrees_with_values(tap: Tap, account: Account, whole_days: bool) -> None:
    """The daily values of a flow message add up to its monthly values."""
    account.whole_days = whole_days
    output = read(tap, "flow_values_report", "flow_series_report")
    for statistic in ("recipients", "opens", "clicks", "conversions"):
        values = totals(output.records("flow_values_report"), "flow_message_id", statistic)
        series = totals(output.records("flow_series_report"), "flow_message_id", statistic)
        assert values == series
        assert values


def test_metric_aggregates(tap: Tap, account: Account) -> None:
    """The daily values of a metric add up to its number of events before the run."""
    records = read(tap, "metric_aggregates").records("metric_aggregates")
    reported = totals(records, "metric_id", "count")
    metrics = account.collections["metric"]
    assert len(reported) > 5
    assert reported == {id: len(account.log.positions(metrics[id], 0, NOW)) for id in reported}


def test_aggregates_by_message(tap: Tap) -> None:
    """Grouped aggregates have a row for each group, also over several pages."""
    reports = {
        "by_message": {
            "stream": "metric_aggregates",
            "metrics": ["Opened Email"],
            "group_by": ["$message", "Campaign Name", "Email Domain"],
            "interval": "weekly",
        }
    }
    output = read(tap, "metric_aggregates", reports=reports)
    found = keys(output, "metric_aggregates")
    assert len(found) == len(set(found)) > 50
    names = {frozenset(r["dimensions"]) for r in output.records("metric_aggregates")}
    assert names == {frozenset({"$message", "Campaign Name", "Email Domain"})}


def test_extra_groupings_are_part_of_the_key(tap: Tap) -> None:
    """Rows with extra groupings have unique keys."""
    reports = {"versions": {"stream": "form_values_report", "group_by": ["form_version_id"]}}
    output = read(tap, "form_values_report", reports=reports)
    records = output.records("form_values_report")
    found = keys(output, "form_values_report")
    assert len(found) == len(set(found))
    assert len({r["form_version_id"] for r in records}) > len({r["form_id"] for r in records})


def test_between_sweeps_only_the_current_interval_is_requested(tap: Tap) -> None:
    """An hour later each report is requested once, for the current interval."""
    first = read(tap, *REPORTS, now=NOW + DAY)
    tap.box.requests.clear()
    second = read(tap, *REPORTS, state=first.state, now=NOW + DAY + 3600)
    requests = Counter(seen.path for seen in tap.box.requests if "report" in seen.path)
    assert set(requests.values()) == {1}
    assert {r["date"] for r in second.records("flow_series_report")} <= {"2026-11-01T23:00:00Z"}
    assert {r["start"] for r in second.records("form_values_report")} == {"2026-10-31T23:00:00Z"}


def test_a_sweep_restates(tap: Tap, account: Account) -> None:
    """Values that changed within the window are written again by the next day's run."""
    reports = {"r": {"stream": "metric_aggregates", "metrics": ["Opened Email"], "window": "P30D"}}
    name, metric = (
        "metric_aggregates",
        next(
            one["id"]
            for one in account.metrics()
            if (one["name"], one["integration"]) == ("Opened Email", "Klaviyo")
        ),
    )

    def days(output: Output) -> dict[str, float]:
        records = output.records(name)
        return {r["date"]: r["count"] for r in records if r["metric_id"] == metric}

    first = read(tap, name, reports=reports)
    account.arrive(metric, timestamps=[NOW - 10 * DAY] * 7, now=NOW)
    hour = read(tap, name, state=first.state, now=NOW + 3600, reports=reports)
    day = read(tap, name, state=hour.state, now=NOW + DAY, reports=reports)
    changed = "2026-10-21T22:00:00Z"
    assert changed not in days(hour)
    assert days(day)[changed] == days(first)[changed] + 7
    assert len(days(day)) == 32


def test_a_new_report_is_read_from_the_start(tap: Tap) -> None:
    """A new report of a stream is read from start_date; the others continue."""
    monthly = {"monthly": {"stream": "segment_values_report"}}
    first = read(tap, "segment_values_report", reports=monthly)
    both = {**monthly, "weekly": {"stream": "segment_values_report", "interval": "weekly"}}
    second = read(tap, "segment_values_report", state=first.state, now=NOW + 3600, reports=both)
    starts = defaultdict(set)
    for record in second.records("segment_values_report"):
        starts[record["report"]].add(record["start"])
    assert len(starts["monthly"]) == 1
    assert len(starts["weekly"]) == 22
    bookmark = second.state["bookmarks"]["segment_values_report"]
    assert bookmark["metrics"] == ["monthly", "weekly"]
    assert "joining" not in bookmark


def test_invalid_settings_end_the_run_before_any_output(tap: Tap) -> None:
    """An invalid report is an error before anything is read or written."""
    reports = {"mine": {"stream": "flow_values_report", "statistics": ["open"]}}
    chosen = catalog("lists", "flow_values_report")
    output = tap.sync(None, chosen, NOW, reports=reports)
    assert "unknown 'open'" in str(output.fault)
    assert not output.messages
    assert not tap.box.requests


@pytest.mark.parametrize("after", [1, 3])
def test_the_quota_of_a_day(tap: Tap, after: int) -> None:
    """A used-up daily quota ends its stream with a bookmark; other streams are complete."""
    path = "/api/segment-values-reports"
    tap.box.faults.add(
        "status", path=path, at=after + 1, times=None, status=429, retry_after=50_000
    )
    output = tap.sync(None, catalog("segment_values_report", "form_values_report"), NOW)
    assert "225 requests a day" in str(output.fault)
    assert "all others are complete" in str(output.fault)
    assert output.records("form_values_report")
    starts = {record["start"] for record in output.records("segment_values_report")}
    assert len(starts) == after
    tap.box.faults.clear()
    rest = read(
        tap, "segment_values_report", "form_values_report", state=output.state, now=NOW + DAY
    )
    starts |= {record["start"] for record in rest.records("segment_values_report")}
    assert len(starts) == 6


def test_the_rate_limit_of_reports(tap_on: TapOn, account: Account) -> None:
    """Each report is requested at most twice a minute, and no request is refused."""
    tap = tap_on(account)
    tap.settings["start_date"] = START
    read(tap, "segment_values_report")
    requests = [seen for seen in tap.box.requests if "report" in seen.path]
    assert len(requests) == 6
    assert tap.clock.now >= 2 * 60
    assert all(seen.status == 200 for seen in requests)


@pytest.mark.parametrize("scope", ["accounts:read", "segments:read"])
def test_a_scope_that_is_missing(tap_on: TapOn, account: Account, scope: str) -> None:
    """A report stream without its scope ends alone, and the error names the scope."""
    scopes = {"accounts:read", "segments:read", "lists:read", "tags:read"} - {scope}
    tap = tap_on(account, scopes=scopes)
    chosen = catalog("segment_values_report", "lists")
    output = tap.sync(None, chosen, NOW)
    assert scope in str(output.fault)
    assert len(output.ids["lists"]) == len(account.list_ids())


def test_the_log_names_unfinished_streams(
    tap: Tap, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log regularly names the unfinished streams and their remaining requests."""
    monkeypatch.setattr("tap_klaviyo.sync.output.LOG_INTERVAL", -1)
    with caplog.at_level("INFO", logger="tap_klaviyo"):
        read(tap, "segment_values_report", "lists", concurrency=1)
    lines = [r.getMessage() for r in caplog.records if "Still reading" in r.getMessage()]
    still = "Read 0 records so far. Still reading"
    assert lines[0] == f"{still} lists, segment_values_report."
    assert lines[1].startswith(f"{still} lists, segment_values_report (")
    assert lines[-1].endswith(
        "Still reading segment_values_report (1 requests left, at most 2 a minute)."
    )


def test_the_log_reports_the_quota(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """The log reports the used part of a daily quota."""
    with caplog.at_level("INFO", logger="tap_klaviyo"):
        read(tap, "segment_values_report", "lists")
    logged = [r.getMessage() for r in caplog.records if "a day" in r.getMessage()]
    assert logged == ["6 of 225 requests a day to /api/segment-values-reports used in this run."]
