"""A start_date or end_date without a time is a day of the account's time zone in reports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from sync_runner import NOW, Output, Tap, catalog_of

from sandbox.account import Account

STREAM = "campaign_values_report"


@pytest.fixture
def read(tap_on: Callable[..., Tap]) -> Callable[..., Output]:
    """Reads the monthly report of an account in a time zone."""

    def run(zone: str, state: object = None, **settings: str) -> Output:
        moment = datetime.fromtimestamp(NOW, timezone.utc)
        account = Account.seeded(seed=1, events=1_000, now=moment)
        (own,) = account.collections["account"]
        own.attributes["timezone"] = zone
        catalog = catalog_of(STREAM)
        output = tap_on(account).sync(state, catalog, NOW, **settings)  # type: ignore[arg-type]
        assert output.fault is None
        return output

    return run


def months(output: Output) -> list[str]:
    """The local months of the rows, oldest first."""
    return sorted({record["local_date"][:7] for record in output.records(STREAM)})


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
@pytest.mark.parametrize(
    ("start", "end"), [("2026-09-01", "2026-10-01"), ("09/01/2026", "10/01/2026")]
)
def test_days(read: Callable[..., Output], zone: str, start: str, end: str) -> None:
    """The months from the first day up to the last one are read whole, and no others."""
    output = read(zone, start_date=start, end_date=end)
    assert months(output) == ["2026-09"]
    later = read(zone, output.state, start_date=start, sweep_interval="0")
    assert months(later) == ["2026-10"]


@pytest.mark.parametrize(
    ("zone", "first"), [("America/New_York", "2026-08"), ("Asia/Tokyo", "2026-09")]
)
def test_instants(read: Callable[..., Output], zone: str, first: str) -> None:
    """With a time they are instants: the month that holds the first one is read."""
    assert months(read(zone, start_date="2026-09-01T00:00:00Z"))[0] == first
