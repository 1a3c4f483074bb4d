"""Klaviyo's clock, as the Date of its answers shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import responses

from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.klaviyo.server_clock import http_date

URL = "https://a.klaviyo.com/api/lists"
LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="L")
Configure = Callable[..., Config]


def unparsed(body: Body) -> bytes:
    """The body as it is."""
    return body.decompressed()


DATE = "Sun, 01 Nov 2026 12:00:00 GMT"
NOON = 1_793_534_400.0


@pytest.mark.parametrize("status", [200, 401, 429, 503])
@responses.activate
def test_the_first_answer_shows_how_far_the_clock_is_ahead(
    configure: Configure, clock: Any, status: int
) -> None:
    """The Date of the first answer of any status is compared with the wall clock, once."""
    client = client_for(configure(), clock=clock.time, sleep=clock.sleep, now=lambda: NOON + 5400)
    assert client.clock_offset() is None
    responses.get(URL, status=status, headers={"Date": DATE})
    responses.get(URL, json=[], headers={"Date": DATE})
    with contextlib.suppress(TapError):
        client.request(URL, LISTS, unparsed)
    assert client.clock_offset() == 5400


@responses.activate
def test_a_local_clock_that_jumps(configure: Configure, clock: Any) -> None:
    """A jump of the wall clock before the first answer is not a difference from Klaviyo's."""
    wall = [NOON]
    client = client_for(configure(), clock=clock.time, sleep=clock.sleep, now=lambda: wall[-1])
    wall.append(NOON - 5400)
    responses.get(URL, json=[], headers={"Date": DATE})
    client.request(URL, LISTS, unparsed)
    assert client.clock_offset() == 0


@pytest.mark.parametrize("headers", [{}, {"Date": "soon"}, {"Date": ""}, {"Date": "Sun, 99"}])
@responses.activate
def test_without_a_date_the_clock_is_not_known(
    configure: Configure, headers: dict[str, str]
) -> None:
    """A missing or invalid Date says nothing about the clock."""
    client = client_for(configure(), now=lambda: NOON)
    responses.get(URL, json=[], headers=headers)
    client.request(URL, LISTS, unparsed)
    assert client.clock_offset() is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (DATE, NOON),
        ("Sunday, 01-Nov-26 12:00:00 GMT", NOON),
        ("Sun, 01 Nov 2026 12:00:00", NOON),
        ("Sun, 01 Nov 2026 13:00:00 +0100", NOON),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_of_headers(value: str | None, seconds: float | None) -> None:
    """A date without a time zone is UTC."""
    assert http_date(value) == seconds
