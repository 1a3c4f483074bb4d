"""What errors suggest."""

from __future__ import annotations

import pytest

from tap_klaviyo.errors import did_you_mean

KNOWN = ["api_key", "start_date", "sweep_window", "sweep_interval"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("apikey", "api_key"),
        ("API_KEY", "api_key"),
        ("start-date", "start_date"),
        ("startDate", "start_date"),
        ("sweep_windows", "sweep_window"),
        ("page_size", None),
        ("", None),
        ("x" * 1_000_000, None),
    ],
)
def test_did_you_mean(name: str, meant: str | None) -> None:
    """The most similar known name is suggested, whatever its case, and nothing else."""
    assert did_you_mean(name, KNOWN) == (f" (did you mean '{meant}'?)" if meant else "")
