"""Pages that Klaviyo has not sorted by time, and cursors that expire between them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import pytest
from run_output import ids
from simulated_klaviyo import Arrival, SimulatedKlaviyo

from sandbox import Response
from sandbox.http_messages import Request
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES


def klaviyo_with_events(events: int) -> SimulatedKlaviyo:
    """An account with events in different minutes."""
    klaviyo = SimulatedKlaviyo("open")
    for number in range(events):
        klaviyo.arrive(Arrival(0, 60 * number + 120, "Opened Email"))
    return klaviyo


def test_a_page_in_disorder() -> None:
    """Pages with unsorted events lose no event."""
    klaviyo = klaviyo_with_events(60)

    def shuffled(_: Request, answer: Response) -> Response:
        if answer.records < 4 or answer.headers.get("Content-Encoding"):
            return answer
        document = json.loads(answer.body)
        data = document["data"]
        document["data"] = [*data[1::2], *data[::2], data[-1]]
        return replace(answer, body=json.dumps(document).encode())

    klaviyo.on_answer = shuffled
    assert ids(klaviyo.sync({}, page_size=7).messages)["open"] == set(klaviyo.events)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_cursors_that_expire_again_and_again(concurrency: int) -> None:
    """A window that gets further with each new start is read to its end."""
    klaviyo = klaviyo_with_events(3000)
    cursors = count()

    def refuse_every_second(request: Request, answer: Response) -> Response:
        if "cursor" not in request.query or next(cursors) % 2 == 0:
            return answer
        error = {"code": "invalid", "source": {"parameter": "page[cursor]"}}
        return replace(
            answer, status=400, body=json.dumps({"errors": [error]}).encode(), headers={}
        )

    klaviyo.on_answer = refuse_every_second
    output = klaviyo.sync({}, page_size=100, concurrency=concurrency)
    assert output.fault is None
    assert ids(output.messages)["open"] == set(klaviyo.events)


@pytest.mark.parametrize("concurrency", [1, 8, 32])
@pytest.mark.parametrize(("page_size", "by"), [(100, 0), (100, 5), (100, 49), (400, 49), (10, 4)])
def test_rows_that_are_late(page_size: int, by: int, concurrency: int) -> None:
    """An event that comes up to 50 rows late, on the next page, is not lost."""
    klaviyo = klaviyo_with_events(4000)
    klaviyo.api.faults.add("late", path="/api/events", times=None, by=by)
    output = klaviyo.sync({}, page_size=page_size, concurrency=concurrency)
    assert klaviyo.injected_faults
    assert ids(output.messages)["open"] == set(klaviyo.events)


def test_rows_that_are_very_late(caplog: pytest.LogCaptureFixture) -> None:
    """Disorder after a window was split makes the tap read both parts again, and say so."""
    klaviyo = klaviyo_with_events(4000)
    klaviyo.api.faults.add("late", path="/api/events", at=SPLIT_AFTER_PAGES, times=None, back=60)
    output = klaviyo.sync({}, page_size=100, concurrency=1)
    assert ids(output.messages)["open"] == set(klaviyo.events)
    assert "Stream 'open': a page was not sorted by time" in caplog.text
