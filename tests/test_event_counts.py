"""Klaviyo's counts of events: what is asked, and which answers are understood."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import responses

from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import ApiError, RetryableError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.event_counts import read_counts
from tap_klaviyo.tap import client_for

URL = "https://a.klaviyo.com/api/metric-aggregates"
FIRST = (date(2026, 1, 1) - date(1970, 1, 1)).days
END = FIRST + 3
DATES = ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00"]


@pytest.fixture
def client(configure: Callable[..., Config], clock: Any) -> Client:
    """A client for the default base_url."""
    return client_for(configure(max_retry_wait=60), clock=clock.time, sleep=clock.sleep)


def answer(dates: Any, *rows: Any) -> dict[str, Any]:
    """An answer with a row of counts for each of ``rows``."""
    data = [{"dimensions": [], "measurements": {"count": row}} for row in rows]
    return {"data": {"type": "metric-aggregate", "attributes": {"dates": dates, "data": data}}}


@responses.activate
def test_the_request(client: Client) -> None:
    """The days of a metric, by midnights of UTC; each try is counted."""
    responses.post(URL, status=503)
    responses.post(URL, json=answer(DATES, [1, 2, 3]))
    tries = []
    read_counts(client, "Mt1", FIRST, END, lambda: tries.append(1))
    assert len(tries) == 2
    request = responses.calls[1].request
    assert request.headers["Content-Type"] == "application/vnd.api+json"
    assert request.body == (
        b'{"data":{"type":"metric-aggregate","attributes":{"metric_id":"Mt1",'
        b'"measurements":["count"],"interval":"day","timezone":"UTC","filter":['
        b'"greater-or-equal(datetime,2026-01-01T00:00:00)",'
        b'"less-than(datetime,2026-01-04T00:00:00)"]}}}'
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (answer(DATES, [1, 0, 3]), {0: 1, 1: 0, 2: 3}),
        (answer(DATES, [1.0, 2e3, 0.0]), {0: 1, 1: 2000, 2: 0}),
        (answer(DATES, [1, 0, 3], [4, 5, 0]), {0: 5, 1: 5, 2: 3}),
        (answer(DATES), {}),
        (answer([]), {}),
        (answer([], []), {}),
        (answer(DATES[1:2], [7]), {1: 7}),
        (answer(["2026-01-02"], [7]), None),
        (answer(["2026-01-02T00:00:00"], [7]), {1: 7}),
        (answer(["2026-01-02T00:00:00Z"], [7]), {1: 7}),
        (answer(["2026-01-02T00:00:00.000000Z"], [7]), {1: 7}),
        (answer(["2026-01-01T19:00:00-05:00"], [7]), {1: 7}),
        (answer(["2026-01-02T05:30:00+05:30"], [7]), {1: 7}),
        (answer(["2026-01-02T00:00:00-05:00"], [7]), None),
        (answer(["2026-01-02T00:00:00.5Z"], [7]), None),
        (answer(["2026-01-02T00:00:01Z"], [7]), None),
        (answer(["2025-12-31T00:00:00Z"], [0]), None),
        (answer(["2026-01-04T00:00:00Z"], [0]), None),
        (answer(["0001-01-01T00:00:00+23:59"], [0]), None),
        (answer(["9999-12-31T23:59:59-23:59"], [0]), None),
        (answer([1767225600], [7]), None),
        (answer([None], [7]), None),
        (answer(None, [7]), None),
        (answer(DATES, [1, 0]), None),
        (answer(DATES, [1, 0, 3, 4]), None),
        (answer(DATES, [1, -1, 3]), None),
        (answer(DATES, [1, 0.5, 3]), None),
        (answer(DATES, [1, None, 3]), None),
        (answer(DATES, [1, "2", 3]), None),
        (answer(DATES, [1, 2**53 + 2, 3]), None),
        (answer(DATES, [1, 1e300, 3]), None),
        (answer(DATES, None), None),
        ({"data": {"type": "metric-aggregate", "attributes": {"dates": DATES}}}, None),
        ({"data": []}, None),
        ({"data": None}, None),
        ({}, None),
        ([], None),
    ],
    ids=str,
)
@responses.activate
def test_answers(client: Client, body: Any, expected: dict[int, int] | None) -> None:
    """Counts of whole days that were asked for; anything else is tried again, and then an error."""
    responses.post(URL, json=body)
    if expected is not None:
        counts = read_counts(client, "Mt1", FIRST, END)
        assert counts == {FIRST + day: count for day, count in expected.items()}
        return
    with pytest.raises(RetryableError) as caught:
        read_counts(client, "Mt1", FIRST, END)
    assert len(responses.calls) > 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", ["1e400", "NaN", "Infinity", "1" + "0" * 400])
@responses.activate
def test_numbers_that_are_none(client: Client, number: str) -> None:
    """A number without a value is no count."""
    responses.post(URL, body=json.dumps(answer(DATES[:1], ["x"])).replace('"x"', number))
    with pytest.raises(RetryableError):
        read_counts(client, "Mt1", FIRST, END)


@pytest.mark.parametrize("status", [400, 404])
@responses.activate
def test_refusals(client: Client, status: int) -> None:
    """What Klaviyo does not count is not asked again."""
    detail = "The metric is custom."
    responses.post(URL, status=status, json={"errors": [{"detail": detail}]})
    with pytest.raises(ApiError, match=detail):
        read_counts(client, "Mt1", FIRST, END)
    assert len(responses.calls) == 1
