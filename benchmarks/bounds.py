"""The least time that a backfill can take with a number of workers: what an oracle would need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WORKERS = 32
"""Requests at the same time, as many as the tap makes at most."""

ROUND_TRIPS = 4
"""Round trips before and after the pages: the account, two pages of metrics, the last answer."""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint: records in a page, and Klaviyo's limits per second and per minute."""

    page_size: int
    burst: int
    steady: int


EVENT_PAGES = Endpoint(1000, 350, 3500)
PROFILE_PAGES = Endpoint(100, 75, 750)


@dataclass(frozen=True)
class Load:
    """What has to be read: the pages, and the pages of the densest second."""

    pages: int
    densest: int


def load_of(partitions: Iterable[Sequence[int]], page_size: int) -> Load:
    """The load of partitions, given the Unix seconds of the records of each.

    A partition takes a page at least. The pages of one second follow one another.
    """
    pages = densest = 0
    for times in partitions:
        pages += max(1, _pages(len(times), page_size))
        (_, most), *_ = Counter(times).most_common(1) or [(0, 0)]
        densest = max(densest, _pages(most, page_size))
    return Load(pages, densest)


def least_time(
    load: Load,
    endpoint: Endpoint,
    latency: float,
    latency_per_record: float,
    limits: float | None = None,
) -> float:
    """The least seconds for a load: the wider of the workers and the densest second, or the limits.

    ``latency`` is in seconds per request, ``limits`` the share of Klaviyo's limits, if enforced.
    """
    page = latency + latency_per_record * endpoint.page_size
    pages = max(load.pages / WORKERS, load.densest) * page
    if limits is not None:
        pages = max(pages, time_at_limits(load.pages, endpoint, limits))
    return pages + ROUND_TRIPS * latency


def time_at_limits(pages: int, endpoint: Endpoint, limits: float) -> float:
    """The least seconds in which a share of Klaviyo's limits allows so many pages.

    It is that of a client that starts with an unused quota and sends each request as soon as it is
    allowed.
    """
    burst, steady = int(endpoint.burst * limits), int(endpoint.steady * limits)
    minutes, rest = divmod(pages - 1, steady)
    return minutes * 60.0 + rest // burst


def _pages(records: int, page_size: int) -> int:
    return -(-records // page_size)
