"""Where reports start and end in the time zone of the account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sample_reports import query

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.klaviyo.account import Metrics
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.state import State
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.stream_sync import StreamSync

NOW = 1_772_366_400  # 2026-03-01T12:00:00Z
STREAM = "flow_values_report"

Periods = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def periods(configure: Callable[..., Config], select: Callable[..., SelectedStream]) -> Periods:
    """The periods of a report: the first day of each, and until when it is requested."""

    def make(zone: str, bookmark: int | None = None, **settings: Any) -> list[tuple[str, str]]:
        selected = select(STREAM)
        url_query = query_for(selected.stream, selected.schema)
        sync = StreamSync(selected, url_query, PageParser(selected))
        state = State({"bookmarks": {STREAM: {"timestamp": bookmark, "swept_at": bookmark}}})
        interval = settings.pop("interval", "monthly")
        report = query(STREAM, time_zone=ZoneInfo(zone), interval=interval)
        Planner(configure(**settings), state, NOW).plan(sync, Metrics(()), [report])
        found = sync.partitions[0].periods
        return [
            (period.start.date().isoformat(), period._until().isoformat())
            for period in found.values()
        ]

    return make


ZONES = ["America/New_York", "UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start", ["2026-01-01", "01/01/2026", " 2026-01-01\n"])
@pytest.mark.parametrize("interval", ["monthly", "daily"])
def test_a_start_without_a_time_is_a_day_of_the_account(
    periods: Periods, zone: str, start: str, interval: str
) -> None:
    """The first row is that of the day or month that start_date names, in any time zone."""
    assert periods(zone, start_date=start, interval=interval)[0][0] == "2026-01-01"


@pytest.mark.parametrize(
    ("zone", "first"),
    [("America/New_York", "2025-12-01"), ("UTC", "2026-01-01"), ("Asia/Tokyo", "2026-01-01")],
)
def test_a_start_with_a_time_is_an_instant(periods: Periods, zone: str, first: str) -> None:
    """The first row is that of the month that the instant lies in."""
    assert periods(zone, start_date="2026-01-01T00:00:00Z")[0][0] == first


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("end", ["2026-02-01", "02/01/2026"])
def test_an_end_without_a_time_is_a_day_of_the_account(
    periods: Periods, zone: str, end: str
) -> None:
    """The last row ends with the day before end_date, in any time zone."""
    found = periods(zone, start_date="2025-12-01", end_date=end)
    assert found[-1] == ("2026-01-01", "2026-02-01T00:00:00")


def test_an_end_in_the_future_is_now(periods: Periods) -> None:
    """A report is not requested beyond the start of the run."""
    assert periods("UTC", end_date="2026-04-01")[-1] == ("2026-03-01", "2026-03-01T12:00:00")


@pytest.mark.parametrize("zone", ZONES)
def test_a_bookmark_goes_on_where_it_is(periods: Periods, zone: str) -> None:
    """A run after the first starts with the month that contains the bookmark."""
    bookmark = NOW - 14 * 86_400
    assert periods(zone, bookmark, start_date="2026-01-01", sweep_interval=0)[0][0] == "2026-02-01"
