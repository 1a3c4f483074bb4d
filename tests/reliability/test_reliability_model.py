"""Random histories: no event is lost, whatever fails and wherever a run is killed."""

from __future__ import annotations

import pytest
from history_checks import run_history
from hypothesis import given, settings
from random_histories import HISTORIES, History

pytestmark = pytest.mark.usefixtures("disable_logging")


@settings(max_examples=80)
@given(HISTORIES)
def test_no_event_is_lost(history: History) -> None:
    """All runs together read every event, with faults, kills, and late and future events."""
    run_history(history)
