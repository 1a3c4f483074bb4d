"""The account's events as they are counted and listed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from sandbox_client import NOW, DecodedResponse, SandboxClient

from sandbox import Account

DAY = 86_400
END = NOW.timestamp()
METRIC = "Opened Email"
YEAR = ("2025-11-21T00:00:00", "2026-11-21T00:00:00")

MakeClient = Callable[..., SandboxClient]


def aggregate(client: SandboxClient, metric_id: str, **attributes: Any) -> DecodedResponse:
    """Aggregates the events of a metric in the last year, by day if nothing else is given."""
    start, end = YEAR
    times = [f"greater-or-equal(datetime,{start})", f"less-than(datetime,{end})"]
    body = {"measurements": ["count"], "filter": times, **attributes}
    return client.post("/api/metric-aggregates", "metric-aggregate", metric_id=metric_id, **body)


def counted(client: SandboxClient, metric_id: str) -> dict[str, int]:
    """The days with events that the aggregates of a metric count, as in ``Account.counts``."""
    attributes = aggregate(client, metric_id).document["data"]["attributes"]
    days = [date[:10] for date in attributes["dates"]]
    rows = [row["measurements"]["count"] for row in attributes["data"]]
    return {day: int(count) for row in rows for day, count in zip(days, row, strict=True) if count}


def truth(account: Account, metric_id: str) -> dict[str, int]:
    """The account's own counts of the days that ``counted`` requests."""
    return {day: n for day, n in account.counts(metric_id).items() if day < YEAR[1][:10]}


@pytest.fixture
def opened(mutable_account: Account) -> str:
    """The id of the metric Opened Email."""
    found = (one for one in mutable_account.metrics() if one["integration"] == "Klaviyo")
    return next(one["id"] for one in found if one["name"] == METRIC)


def test_counts(client: SandboxClient, account: Account) -> None:
    """The account's own counts are those of the aggregates and of the listed events."""
    for metric in account.metrics():
        events = account.event_ids_of(metric["id"], end=END + DAY / 2)
        assert sum(counted(client, metric["id"]).values()) == len(events)
        assert counted(client, metric["id"]) == truth(account, metric["id"])
    assert account.counts("opened email") == account.counts(METRIC)


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_only_counts(client: SandboxClient, metric_id: str, interval: str, zone: str) -> None:
    """Counts are the same whether they are requested alone or with other measurements."""
    times = [
        "greater-or-equal(datetime,2026-10-20T13:17:11)",
        "less-than(datetime,2026-11-20T02:30:00+05:00)",
    ]
    options = {"interval": interval, "timezone": zone, "filter": times}
    alone, together = (
        aggregate(client, metric_id, **options, measurements=names).document["data"]["attributes"]
        for names in (["count"], ["count", "unique"])
    )
    counts = [row["measurements"]["count"] for row in together["data"]]
    assert [row["measurements"]["count"] for row in alone["data"]] == counts
    assert alone["dates"] == together["dates"]
    assert sum(counts[0])


def test_deleted_events(mutable_account: Account, make_client: MakeClient, opened: str) -> None:
    """Deleted events are neither listed nor counted, and their ids are not used again."""
    client = make_client(mutable_account)
    first, second, *others = mutable_account.event_ids_of(opened)
    before = counted(client, opened)
    mutable_account.delete_events([first, second])
    for events in (None, opened):
        assert not {first, second} & set(mutable_account.event_ids_of(events))
    listed = client.ids("/api/events", filter=f'equals(metric_id,"{opened}")', sort="timestamp")
    assert listed == mutable_account.event_ids_of(opened) == others
    assert counted(client, opened) == truth(mutable_account, opened)
    assert sum(counted(client, opened).values()) == sum(before.values()) - 2
    (new,) = mutable_account.arrive(METRIC, timestamps=[END], now=END)
    assert new.id not in {first, second}


@pytest.mark.parametrize("id", ["nothing", "0", "0123456789ab"])
def test_delete_unknown_event(mutable_account: Account, opened: str, id: str) -> None:
    """An event that does not exist, or no longer, cannot be deleted; nothing changes."""
    event = mutable_account.event_ids_of(opened)[0]
    mutable_account.delete_events([event])
    before = mutable_account.event_ids_of(None)
    for unknown in (id, event):
        with pytest.raises(KeyError):
            mutable_account.delete_events([unknown])
    assert mutable_account.event_ids_of(None) == before


def test_delete_event_of_unknown_metric(account: Account) -> None:
    """Events without a metric can be deleted too."""
    fresh = Account.seeded(events=3000, now=NOW)
    known = {
        id for metric in fresh.log.metrics for id in map(fresh.log.id, fresh.log.positions(metric))
    }
    (unknown, *_) = set(fresh.event_ids_of(None)) - known
    fresh.delete_events([unknown])
    assert set(account.event_ids_of(None)) - set(fresh.event_ids_of(None)) == {unknown}


def test_speed(make_client: MakeClient) -> None:
    """Counting the days of a year takes less than 50 ms of CPU time, whatever the events."""
    account = Account.seeded(events=300, now=NOW, tame=True)
    times = range(int(END) - 120_000 * 300, int(END), 300)
    (event, *_) = account.arrive(METRIC, timestamps=times, now=END)
    client = make_client(account)
    seconds = []
    for _ in range(5):
        began = time.process_time()
        assert len(counted(client, event.metric_id or "")) == 365
        seconds.append(time.process_time() - began)
    # The fastest of them: a garbage collection of all other tests' data takes longer.
    assert min(seconds) < 0.05
