"""The longest chain of dependent requests."""

from __future__ import annotations

import pytest

from sandbox import LoggedRequest
from sandbox.request_log import longest_chain


def _request(started: float, ended: float) -> LoggedRequest:
    return LoggedRequest("GET", "/api/events", (), "", "", started, 1, ended=ended)


@pytest.mark.parametrize(
    ("times", "length"),
    [
        ([], 0),
        ([(1, 2)], 1),
        ([(1, 2), (2, 3), (3, 4)], 3),
        ([(1, 2), (1.1, 2.1), (1.2, 2.2)], 1),
        ([(1, 9), (1, 2), (2.5, 3), (4, 5)], 3),
        ([(1, 2), (1.999, 3)], 2),
        ([(1, 2), (1.9, 3)], 1),
        ([(3, 4), (1, 2)], 2),
        ([(1, 2), (3, 0)], 1),
    ],
    ids=[
        "no request",
        "one",
        "one after the other",
        "at the same time",
        "beside a long one",
        "the answer was read before its end was noted",
        "overlapping",
        "in any order",
        "without an answer",
    ],
)
def test_the_longest_chain(times: list[tuple[float, float]], length: int) -> None:
    """A request belongs to the chain if it arrived after the answer before it."""
    assert longest_chain(_request(*one) for one in times) == length
