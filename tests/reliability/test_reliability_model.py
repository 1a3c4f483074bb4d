"""Whatever fails and wherever a run dies, no event is lost: told in random stories."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from random_histories import STORIES, Story, tell


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Log lines of thousands of runs take longer than the runs."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=300)
@given(STORIES)
def test_no_event_is_lost(story: Story) -> None:
    """Through faults, kills, late and future events, the union of all runs is the truth."""
    tell(story)
