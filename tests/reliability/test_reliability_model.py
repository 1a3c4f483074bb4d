"""Random histories: no event is lost, whatever fails and wherever a run is killed."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from random_histories import HISTORIES, History, run_history


@pytest.fixture(autouse=True, scope="module")
def disable_logging() -> Iterator[None]:
    """Disables logging, which takes longer than the runs themselves."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=300)
@given(HISTORIES)
def test_no_event_is_lost(history: History) -> None:
    """All runs together read every event, with faults, kills, and late and future events."""
    run_history(history)
