"""The least time of a backfill, which the benchmarks compare runs with."""

from __future__ import annotations

import pytest

from benchmarks.bounds import EVENT_PAGES, PROFILE_PAGES, Load, least_time, load_of, time_at_limits
from sandbox.seeding.shapes import flash_sale, one_second, suppressions, three_campaigns

END = 1_795_000_000
OTHERS: list[list[int]] = [[1]] * 17


@pytest.mark.parametrize(
    ("partitions", "pages", "densest"),
    [
        ([[]], 1, 0),
        ([[5] * 1000], 1, 1),
        ([[5] * 1001, [5] * 1001], 4, 2),
        ([[5] * 600 + [6] * 600], 2, 1),
        ([[], [1], list(range(2500))], 5, 1),
    ],
    ids=["no record", "a page", "a second of two streams", "two seconds", "unequal partitions"],
)
def test_pages_are_counted_by_partition(
    partitions: list[list[int]], pages: int, densest: int
) -> None:
    """Each partition has at least a page; a second's pages count by partition."""
    assert load_of(partitions, 1000) == Load(pages, densest)


@pytest.mark.parametrize(
    ("load", "limits", "seconds"),
    [
        (Load(1, 1), None, 0.5 + 1.2),
        (Load(320, 1), None, 10 * 0.5 + 1.2),
        (Load(320, 36), None, 36 * 0.5 + 1.2),
        (Load(320, 1), 1.0, 10 * 0.5 + 1.2),
        (Load(4000, 1), 1.0, 62.5 + 1.2),
        (Load(4000, 1), 0.5, 120 + 2 + 1.2),
    ],
    ids=["one page", "workers", "a dense second", "no limit felt", "many pages", "half the limits"],
)
def test_the_least_time_is_that_of_the_scarcest_means(
    load: Load, limits: float | None, seconds: float
) -> None:
    """Workers, the pages of one second, or the rate limits bound a run; round trips are added."""
    assert least_time(load, EVENT_PAGES, 0.3, 0.0002, limits) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("pages", "seconds"), [(1, 0), (75, 0), (76, 1), (750, 9), (751, 60), (826, 61)]
)
def test_limits_allow_a_burst_each_second(pages: int, seconds: float) -> None:
    """Klaviyo allows 75 pages of profiles per second and 750 per minute."""
    assert time_at_limits(pages, PROFILE_PAGES, 1.0) == seconds


@pytest.mark.parametrize(
    ("opens", "events", "load", "seconds"),
    [
        (flash_sale(END), 40_000, Load(57, 1), 2.1),
        (three_campaigns(END), 66_000, Load(83, 1), 2.5),
        (one_second(END), 16_000, Load(33, 16), 9.2),
    ],
    ids=["flash sale", "three campaigns", "one second"],
)
def test_shapes_have_the_bounds_that_their_goals_were_set_for(
    opens: dict[str, list[int]], events: int, load: Load, seconds: float
) -> None:
    """With a few events in 17 further metrics, 300 ms a request and 0.2 ms an event."""
    assert len(opens["open"]) == events
    measured = load_of([opens["open"], *OTHERS], EVENT_PAGES.page_size)
    assert measured == load
    assert least_time(measured, EVENT_PAGES, 0.3, 0.0002) == pytest.approx(seconds, abs=0.05)


def test_suppressions_have_clusters_and_repetitions() -> None:
    """Several hundred profiles share a second, some have several suppressions or two at once."""
    profiles = suppressions(END)
    assert len(profiles) == 14_400
    assert load_of([[max(times) for times in profiles]], PROFILE_PAGES.page_size).densest == 5
    assert {len(times) for times in profiles} == {1, 2, 3}
    assert any(len(times) > len(set(times)) for times in profiles)
    assert any(max(times) - min(times) > 100 * 86_400 for times in profiles)
    assert all(END - 7 * 365 * 86_400 < time < END for times in profiles for time in times)
