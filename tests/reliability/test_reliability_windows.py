"""Windows follow the data: how long clustered accounts take, in simulated time.

``bound`` is the least time: all workers busy, or the pages of the densest second one after the
other, and four round trips.
"""

from __future__ import annotations

from statistics import mean

import pytest
from random_shapes import DAY, disordered, random_shape
from simulated_windows import NOW, Conditions, Outcome, read

START = NOW - 95 * DAY
ROUNDS = Conditions(latency=1.0, per_record=0.0)
"""Each request takes one round."""

SALE = [START + 40 * DAY + 10 * second for second in range(200) for _ in range(200)]
CAMPAIGNS = sorted(
    START + day * DAY + 25 * halving + second
    for day in (20, 45, 70)
    for halving in range(15)
    for second in range(25)
    for _ in range(round(600 * 0.5 ** (halving + second / 25)))
)
IMPORT = [START + 50 * DAY] * 16_000
DENSE = sorted([*SALE, *CAMPAIGNS, *([START + 60 * DAY] * 36_000)])
EVEN = [START + 8 * number for number in range(1_000_000)]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Random accounts, read with one request a round."""
    shapes = [random_shape(seed, NOW - 10) for seed in range(150)]
    return [read(shape.metrics, shape.start, ROUNDS) for shape in shapes]


@pytest.mark.parametrize(
    ("times", "ratio"),
    [(SALE, 2.5), (CAMPAIGNS, 2.5), (IMPORT, 1.1), (DENSE, 1.1), (EVEN, 1.3)],
    ids=["sale", "campaigns", "import", "dense second among clusters", "even"],
)
def test_time_of_clustered_accounts(times: list[int], ratio: float) -> None:
    """Clusters are found and shared: the run takes little more than the least time."""
    outcome = read([times], START, Conditions())
    assert not outcome.missing
    assert outcome.seconds <= ratio * outcome.bound


def test_rounds_of_random_accounts(outcomes: list[Outcome]) -> None:
    """A run takes 1.5 times its bound on average and never more than three times."""
    ratios = [outcome.seconds / outcome.bound for outcome in outcomes]
    assert mean(ratios) <= 1.5
    assert max(ratios) <= 3


def test_requests_of_random_accounts(outcomes: list[Outcome]) -> None:
    """No run needs more than two requests for each page, and thirty for each metric."""
    for outcome in outcomes:
        assert not outcome.missing
        assert outcome.requests <= 2 * outcome.pages + 30 * outcome.metrics


def test_requests_of_even_accounts() -> None:
    """Evenly spread events of a thousand pages take at most a tenth more requests than pages."""
    outcome = read([EVEN], START, Conditions())
    assert outcome.requests <= 1.1 * outcome.pages


@pytest.mark.parametrize("metrics", [1, 18])
def test_one_page_takes_one_request(metrics: int) -> None:
    """A metric whose events fit one page takes one request."""
    times = [START + 9_000 * number for number in range(900)]
    assert read([times] * metrics, START, Conditions()).requests == metrics


@pytest.mark.parametrize("workers", [1, 2, 8, 32])
@pytest.mark.parametrize("seed", range(20))
def test_no_event_of_a_random_account_is_lost(seed: int, workers: int) -> None:
    """Everything is read, with pages of any size and up to 50 rows out of place."""
    shape = random_shape(seed, NOW - 10, most_events=3_000)
    conditions = Conditions(workers, page_size=(20, 85, 200, 1000)[seed % 4])
    for rows in (0, 1, 50):
        kept_back = min(rows, conditions.page_size // 4)
        metrics = [disordered(times, kept_back, seed) for times in shape.metrics]
        assert not read(metrics, shape.start, conditions).missing
