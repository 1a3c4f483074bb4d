"""Rules by which the account's aggregates and its lists of events differ from its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from sandbox_client import NOW, SandboxClient
from test_sandbox_event_counts import END, aggregate, counted, truth

from sandbox import Account

METRIC, OTHER = "Opened Email", "Received Email"
ARRIVED = 5
"""Number of events of each of the two metrics that arrive at the end of the account's events."""

MakeClient = Callable[..., SandboxClient]


@dataclass
class Clock:
    """The time of the client's API, in Unix seconds."""

    now: float = END

    def time(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at the end of the account's events."""
    return Clock()


@pytest.fixture
def client(mutable_account: Account, make_client: MakeClient, clock: Clock) -> SandboxClient:
    """A client of an account in which events have just arrived, most of them late."""
    for metric in (METRIC, OTHER):
        times = [END - 86_400 * number - 1 for number in range(ARRIVED)]
        mutable_account.arrive(metric, timestamps=times, now=END)
    return make_client(mutable_account, clock=clock.time)


@pytest.fixture
def ids(mutable_account: Account) -> dict[str, str]:
    """The ids of the two metrics by name."""
    return {
        one["name"]: one["id"]
        for one in mutable_account.metrics()
        if one["integration"] == "Klaviyo"
    }


def listed(client: SandboxClient, metric_id: str | None = None) -> list[str]:
    """The ids of the events that are listed, of one metric or of all."""
    query = {"filter": f"equals(metric_id,'{metric_id}')"} if metric_id else {}
    return client.ids("/api/events", sort="timestamp", **query)


@pytest.mark.parametrize("metric", [None, METRIC, METRIC.upper()])
@pytest.mark.parametrize("seconds", [0, 599, 599.9, 600, 601])
def test_count_lag(
    client: SandboxClient,
    mutable_account: Account,
    ids: dict[str, str],
    clock: Clock,
    metric: str | None,
    seconds: float,
) -> None:
    """Events are counted once they have arrived as long ago as the rule says; listed at once."""
    mutable_account.set_counting(metric, count_lag=600)
    clock.now += seconds
    for name in (METRIC, OTHER):
        waits = seconds < 600 and (metric is None or name == METRIC)
        events = truth(mutable_account, ids[name])
        missing = sum(events.values()) - sum(counted(client, ids[name]).values())
        assert missing == (ARRIVED if waits else 0)
        assert listed(client, ids[name]) == mutable_account.event_ids_of(ids[name])


@pytest.mark.parametrize("metric", [None, METRIC])
@pytest.mark.parametrize("seconds", [0, 599, 600, 601])
def test_list_lag(
    client: SandboxClient,
    mutable_account: Account,
    ids: dict[str, str],
    clock: Clock,
    metric: str | None,
    seconds: float,
) -> None:
    """Events are listed once they have arrived as long ago as the rule says; counted at once."""
    mutable_account.set_counting(metric, list_lag=600)
    clock.now += seconds
    waiting = [METRIC] if metric else [METRIC, OTHER]
    everything = len(mutable_account.event_ids_of(None))
    expected = everything - ARRIVED * len(waiting) * (seconds < 600)
    assert len(listed(client)) == expected
    for name in (METRIC, OTHER):
        assert counted(client, ids[name]) == truth(mutable_account, ids[name])
        events = mutable_account.event_ids_of(ids[name])
        missing = len(events) - len(listed(client, ids[name]))
        assert missing == (ARRIVED if seconds < 600 and name in waiting else 0)


def test_list_lag_ends_between_pages(
    client: SandboxClient, mutable_account: Account, ids: dict[str, str], clock: Clock
) -> None:
    """Events that are listed while a query is read are on its later pages, or missed."""
    mutable_account.delete_events(mutable_account.event_ids_of(ids[METRIC]))
    old = mutable_account.arrive(METRIC, timestamps=range(10, 20), now=END - 60)
    behind, ahead = mutable_account.arrive(METRIC, timestamps=[12, 18], now=END)
    mutable_account.set_counting(list_lag=60)
    query = {"filter": f"equals(metric_id,'{ids[METRIC]}')", "page__size": "5"}
    first = client.get("/api/events", sort="timestamp", **query)
    clock.now += 60
    found = [*first.ids, *client.ids(first.document["links"]["next"])]
    assert sorted(found) == sorted([*(event.id for event in old), ahead.id])
    assert set(listed(client, ids[METRIC])) - set(found) == {behind.id}


def test_seeded_events_arrived_long_ago(
    account: Account, make_client: MakeClient, metric_id: str
) -> None:
    """Lags do not concern the events that the account was seeded with."""
    seeded = Account.seeded(events=3000, now=NOW)
    seeded.set_counting(count_lag=1e12, list_lag=1e12)
    client = make_client(seeded)
    assert counted(client, metric_id) == truth(account, metric_id)
    assert set(listed(client, metric_id)) == set(account.event_ids_of(metric_id))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, len),
        ({"factor": 2}, lambda positions: 2 * len(positions)),
        ({"factor": 0.5}, lambda positions: len(positions) / 2),
        ({"leaves_out": 1}, lambda positions: 0),
        ({"leaves_out": 3}, lambda positions: sum(at % 3 > 0 for at in positions)),
        ({"leaves_out": 3, "factor": 2}, lambda positions: 2 * sum(at % 3 > 0 for at in positions)),
    ],
    ids=["none", "double", "half", "no event", "two of three", "two of three, double"],
)
@pytest.mark.parametrize("measurements", [["count"], ["count", "unique"]])
@pytest.mark.parametrize("by", [None, ["$message"]])
def test_definitions_of_the_count(
    client: SandboxClient,
    mutable_account: Account,
    ids: dict[str, str],
    rules: dict[str, Any],
    expected: Callable[[list[int]], float],
    measurements: list[str],
    by: list[str] | None,
) -> None:
    """A metric may count events several times or leave some out, whatever else is measured."""
    mutable_account.set_counting(METRIC, **rules)
    for name, is_changed in ((METRIC, True), (OTHER, False)):
        response = aggregate(client, ids[name], measurements=measurements, by=by)
        rows = response.document["data"]["attributes"]["data"]
        metric = mutable_account.collections["metric"][ids[name]]
        positions = mutable_account.log.positions(metric, end=END + 86_400 / 2)
        counts = sum(sum(row["measurements"]["count"]) for row in rows)
        assert counts == (expected(positions) if is_changed else len(positions))


def changes(client: SandboxClient, metric_id: str, true_counts: dict[str, int]) -> Counter[str]:
    """By how much the count of each day differs from the truth."""
    attributes = aggregate(client, metric_id).document["data"]["attributes"]
    (row,) = attributes["data"]
    days = [date[:10] for date in attributes["dates"]]
    return Counter(
        {
            day: int(count) - true_counts.get(day, 0)
            for day, count in zip(days, row["measurements"]["count"], strict=True)
        }
    )


def test_unstable(client: SandboxClient, mutable_account: Account, ids: dict[str, str]) -> None:
    """Counts of random days change a little at each request, in the same way for a seed."""
    runs: dict[int, list[Counter[str]]] = {}
    events = truth(mutable_account, ids[METRIC])
    for seed in (1, 2, 1):
        mutable_account.set_counting(METRIC, unstable=0.2, seed=seed)
        runs.setdefault(seed, [])
        runs[seed] += [changes(client, ids[METRIC], events) for _ in range(3)]
    assert runs[1][:3] == runs[1][3:] != runs[2]
    different = [{day: n for day, n in run.items() if n} for run in runs[1][:3]]
    assert different[0] != different[1] != different[2]
    for run in different:
        assert 20 < len(run) < 110
        assert all(abs(n) <= 3 for n in run.values())
        assert min(run) < "2026-01-01"
    assert counted(client, ids[OTHER]) == truth(mutable_account, ids[OTHER])
    mutable_account.set_counting(METRIC, unstable=1)
    counts = counted(client, ids[METRIC])
    assert min(counts.values()) > 0
    assert any(day not in events for day in counts)


def test_unsupported(client: SandboxClient, mutable_account: Account, ids: dict[str, str]) -> None:
    """Aggregates of an unsupported metric return 400; its events are listed."""
    mutable_account.set_counting(METRIC, unsupported=True)
    refused = aggregate(client, ids[METRIC])
    assert refused.status == 400
    assert refused.error["code"] == "invalid"
    assert refused.error["detail"] == f"The metric '{ids[METRIC]}' cannot be aggregated."
    assert refused.error["source"] == {"pointer": "/data/attributes/metric_id"}
    assert aggregate(client, ids[OTHER]).status == 200
    assert listed(client, ids[METRIC]) == mutable_account.event_ids_of(ids[METRIC])


@pytest.mark.parametrize(
    ("status", "code"), [(400, "invalid"), (403, "permission_denied"), (404, "not_found")]
)
def test_faults_of_one_metric(
    client: SandboxClient, ids: dict[str, str], status: int, code: str
) -> None:
    """A fault can be limited to the aggregates of one metric by what the body contains."""
    client.api.faults.add(
        "status", status=status, path="/api/metric-aggregates", sent=ids[METRIC], times=None
    )
    for _ in range(2):
        assert aggregate(client, ids[OTHER]).status == 200
        refused = aggregate(client, ids[METRIC])
        assert (refused.status, refused.error["code"]) == (status, code)
    assert client.get("/api/metrics").status == 200


def test_rules_of_a_metric_replace_those_of_all(
    client: SandboxClient, mutable_account: Account, ids: dict[str, str]
) -> None:
    """A metric has the rules that were set last for it, else those that were set for all."""
    true = {name: sum(truth(mutable_account, ids[name]).values()) for name in (METRIC, OTHER)}

    def factors() -> Iterator[float]:
        for name in (METRIC, OTHER):
            yield sum(counted(client, ids[name]).values()) / true[name]

    for metric, rules, expected in [
        (None, {"factor": 2}, [2, 2]),
        (METRIC, {"factor": 3}, [3, 2]),
        (None, {}, [3, 1]),
        (ids[OTHER], {"factor": 4}, [3, 4]),
        (METRIC, {}, [1, 4]),
    ]:
        mutable_account.set_counting(metric, **rules)
        assert [*factors()] == expected
    mutable_account.clear_counting()
    assert [*factors()] == [1, 1]


@pytest.mark.parametrize(
    ("metric", "rules", "error"),
    [
        ("Opened Letter", {}, KeyError),
        (None, {"colour": "red"}, TypeError),
        (None, {"count_lag": "soon"}, ValueError),
        (None, {"list_lag": -1}, ValueError),
        (None, {"factor": float("nan")}, ValueError),
        (None, {"factor": float("inf")}, ValueError),
        (None, {"unsupported": None}, ValueError),
    ],
)
def test_invalid_rules(
    mutable_account: Account, metric: str | None, rules: dict[str, Any], error: type[Exception]
) -> None:
    """Unknown metrics, unknown rules and values that are not positive numbers are refused."""
    with pytest.raises(error):
        mutable_account.set_counting(metric, **rules)


def test_threads(client: SandboxClient, mutable_account: Account, ids: dict[str, str]) -> None:
    """Rules and events can change while events are counted and listed."""

    def work(number: int) -> set[int]:
        mutable_account.set_counting(METRIC, count_lag=number, list_lag=number, unstable=0.1)
        (event,) = mutable_account.arrive(METRIC, timestamps=[END - number], now=END)
        answers = {aggregate(client, ids[METRIC]).status, client.get("/api/events").status}
        mutable_account.delete_events([event.id])
        return answers

    before = mutable_account.counts(METRIC)
    with ThreadPoolExecutor(4) as threads:
        assert set().union(*threads.map(work, range(100))) == {200}
    mutable_account.clear_counting()
    assert mutable_account.counts(METRIC) == before
    assert counted(client, ids[METRIC]) == truth(mutable_account, ids[METRIC])
