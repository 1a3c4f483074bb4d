"""Requests for counts: how many at once and in a run, what is asked again, and failures."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.errors import RetryableError, StreamError
from tap_klaviyo.klaviyo.event_counts import MOST_DAYS
from tap_klaviyo.sync.count_requests import (
    MOST_AT_ONCE,
    MOST_REQUESTS,
    CountAnswer,
    CountRequests,
    CountTask,
    Days,
    chunks,
)

YEAR = MOST_DAYS
REFUSED = StreamError("Klaviyo refused to count.")


def requests_for(**metrics: Days) -> CountRequests:
    """Requests for the counts of these metrics."""
    requests = CountRequests()
    for metric, days in metrics.items():
        requests.ask(metric, days)
    return requests


def shown(task: CountTask | None) -> tuple[str, int, int] | None:
    """The metric and the days of a task."""
    return task and (task.metric, task.first, task.end)


def next_task(requests: CountRequests) -> CountTask:
    """The next task, of which there must be one."""
    task = requests.next_task(MOST_AT_ONCE)
    assert task is not None
    return task


def answer_all(
    requests: CountRequests, counts: dict[int, int] | StreamError
) -> tuple[list[CountTask], list[CountAnswer]]:
    """Answers all requests with those of ``counts`` that were asked for."""
    tasks: list[CountTask] = []
    answers = []
    while task := requests.next_task(MOST_AT_ONCE):
        tasks.append(task)
        if isinstance(counts, StreamError):
            result: dict[int, int] | StreamError = counts
        else:
            result = {day: n for day, n in counts.items() if task.first <= day < task.end}
        answers.append(requests.take(task, result))
    return tasks, [answer for answer in answers if answer is not None]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ((5, 5), []),
        ((7, 5), []),
        ((4, 5), [(4, 5)]),
        ((0, YEAR), [(0, YEAR)]),
        ((0, YEAR + 1), [(1, YEAR + 1), (0, 1)]),
        ((100, 3 * YEAR), [(2 * YEAR, 3 * YEAR), (YEAR, 2 * YEAR), (100, YEAR)]),
        ((-5, 5), [(-5, 5)]),
    ],
)
def test_chunks(days: Days, expected: list[Days]) -> None:
    """One request covers 365 days; the newest come first."""
    assert list(chunks(*days)) == expected


def test_metrics_in_turn() -> None:
    """Two requests are under way at once; a metric is answered when all of its days are."""
    requests = requests_for(A=(0, 2 * YEAR), B=(0, 10), C=(0, 10))
    first, second = next_task(requests), next_task(requests)
    assert [shown(first), shown(second)] == [("A", YEAR, 2 * YEAR), ("A", 0, YEAR)]
    assert requests.next_task(MOST_AT_ONCE) is None
    assert requests.take(second, {3: 1}) is None
    third = next_task(requests)
    assert shown(third) == ("B", 0, 10)
    answer = requests.take(first, {YEAR: 2})
    assert answer is not None
    assert (answer.metric, answer.error, answer.earlier) == ("A", None, None)
    assert {day: n for day, n in answer.counts.items() if n} == {3: 1, YEAR: 2}
    assert requests.metrics == {"B", "C"}
    assert shown(next_task(requests)) == ("C", 0, 10)


@pytest.mark.parametrize(("workers", "expected"), [(0, 0), (1, 1), (2, 2), (9, 2)])
def test_workers(workers: int, expected: int) -> None:
    """No more requests are under way than workers may wait for them."""
    requests = requests_for(A=(0, 5 * YEAR), B=(0, 5 * YEAR))
    tasks = [requests.next_task(workers) for _ in range(4)]
    assert len([task for task in tasks if task]) == expected


@pytest.mark.parametrize(
    ("metrics", "years", "expected"),
    [(1, 1, 1), (200, 1, 118), (50, 3, 38 * 3), (30, 20, 80), (1, 60, 60), (1, 61, 0)],
)
def test_requests_of_a_run(metrics: int, years: int, expected: int) -> None:
    """A run sends 120 at most; a metric is begun only if all its days could be asked twice."""
    requests = requests_for(**{f"M{n}": (0, years * YEAR) for n in range(metrics)})
    tasks, answers = answer_all(requests, {})
    assert len(tasks) == expected <= MOST_REQUESTS
    assert len(answers) == expected / years
    assert requests.metrics == set()


def test_repeated_requests_count() -> None:
    """If each metric is asked twice, half as many have their turn, and no answer stays alone."""
    requests = requests_for(**{f"M{n}": (0, YEAR) for n in range(200)})
    sent = 0
    while task := requests.next_task(MOST_AT_ONCE):
        sent += 1
        answer = requests.take(task, {1: sent})
        if answer is not None and answer.earlier is None:
            assert requests.repeat(answer, [(1, 2)])
    assert sent == MOST_REQUESTS
    assert requests.metrics == set()


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        ([(5, 6)], [(5, 6)]),
        ([(5, 6), (9, 10)], [(5, 10)]),
        ([(9, 10), (5, 6)], [(5, 10)]),
        ([(0, 31), (5, 6)], [(0, 31)]),
        ([(0, 31), (YEAR - 1, YEAR)], [(0, YEAR)]),
        ([(0, 31), (YEAR, YEAR + 1)], [(0, 31), (YEAR, YEAR + 1)]),
        ([(0, 31), (40, 50), (2 * YEAR, 2 * YEAR + 31)], [(0, 50), (2 * YEAR, 2 * YEAR + 31)]),
    ],
)
def test_days_that_are_asked_again(periods: list[Days], expected: list[Days]) -> None:
    """Few requests cover all periods whose counts have changed."""
    requests = requests_for(A=(0, 3 * YEAR))
    _, (answer,) = answer_all(requests, {5: 7})
    assert requests.repeat(answer, periods)
    assert requests.metrics == {"A"}
    tasks, _ = answer_all(requests, {5: 8})
    assert [(task.first, task.end) for task in tasks] == expected


def test_what_two_answers_have_told() -> None:
    """The later counts hold; the earlier ones of the same days are kept beside them."""
    requests = requests_for(A=(0, 10))
    _, (answer,) = answer_all(requests, {5: 7, 6: 1, 9: 1})
    assert requests.repeat(answer, [(5, 8)])
    _, (again,) = answer_all(requests, {5: 8, 7: 2})
    assert again is answer
    assert again.earlier == {5: 7, 6: 1, 7: 0}
    assert again.counts == {**dict.fromkeys(range(10), 0), 5: 8, 6: 0, 7: 2, 9: 1}


def test_no_request_is_left_to_ask_again() -> None:
    """Then the metric is not answered in this run."""
    requests = requests_for(A=(0, 60 * YEAR))
    _, (answer,) = answer_all(requests, {})
    every_second_year = [(n * YEAR, n * YEAR + 1) for n in range(0, 60, 2)]
    assert requests.repeat(answer, every_second_year)
    answer_all(requests, {})
    assert not requests.repeat(answer, [(0, 1), *((n * YEAR, n * YEAR + 1) for n in range(1, 31))])
    assert requests.next_task(MOST_AT_ONCE) is None


def test_a_metric_that_comes_later() -> None:
    """A long backfill asks during the run, as long as requests are left."""
    requests = requests_for(A=(0, 50 * YEAR))
    answer_all(requests, {})
    requests.ask("B", (0, 40 * YEAR))
    assert requests.metrics == set()
    requests.ask("C", (0, 30 * YEAR))
    assert requests.metrics == {"C"}


def test_a_failure_ends_the_requests_of_its_metric() -> None:
    """Those that are under way are waited for; the other metrics go on."""
    requests = requests_for(A=(0, 5 * YEAR), B=(0, 10))
    first, second = next_task(requests), next_task(requests)
    assert requests.take(first, REFUSED) is None
    assert requests.metrics == {"A", "B"}
    assert shown(next_task(requests)) == ("B", 0, 10)
    answer = requests.take(second, {1: 1})
    assert answer is not None
    assert answer.error is REFUSED
    assert requests.metrics == {"B"}


@pytest.mark.parametrize("error", [REFUSED, RetryableError("No answer.")])
def test_a_failure_when_asked_again(error: StreamError) -> None:
    """The answer has an error, although there are counts."""
    requests = requests_for(A=(0, 10))
    _, (answer,) = answer_all(requests, {5: 7})
    assert requests.repeat(answer, [(5, 6)])
    _, (again,) = answer_all(requests, error)
    assert again.error is error


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 31)), min_size=1, max_size=20),
    st.dictionaries(st.integers(0, 5031), st.integers(1, 9)),
)
def test_all_changed_days_are_asked_again(
    periods: Iterable[tuple[int, int]], counts: dict[int, int]
) -> None:
    """In requests of a year at most, whatever periods the streams of a metric have."""
    days = {(first, first + length) for first, length in periods}
    requests = requests_for(A=(0, 5100))
    _, (answer,) = answer_all(requests, {})
    assert requests.repeat(answer, days)
    tasks, (again,) = answer_all(requests, counts)
    assert again.earlier is not None
    for task in tasks:
        assert task.end - task.first <= MOST_DAYS
    for first, end in days:
        assert all(again.counts[day] == counts.get(day, 0) for day in range(first, end))
        assert again.earlier.keys() >= {*range(first, end)}
