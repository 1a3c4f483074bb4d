"""Late events at any depth: recounts find them, and read nothing again without a cause."""

from __future__ import annotations

import pytest
from count_checks import run_counted_history
from count_histories import COUNTED_HISTORIES, CountedHistory
from hypothesis import given, settings

pytestmark = pytest.mark.usefixtures("disable_logging")


@settings(max_examples=40)
@given(COUNTED_HISTORIES)
def test_late_events_are_found_at_any_depth(history: CountedHistory) -> None:
    """Recounts find all that is listed and counted, in an account that counts as it likes."""
    run_counted_history(history)
