"""What a recount has found: how late events came, and what could not be counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tap_klaviyo.errors import StreamError
from tap_klaviyo.logs import get_logger, listed
from tap_klaviyo.state.counts import MetricCounts, Period, iso_day

logger = get_logger(__name__)

MOST = 0.99
"""The share of late events whose lateness is told."""


class LateEvents(NamedTuple):
    """How many late events a recount has found, and within how many days they came at most.

    ``days_of_99_percent`` is that of 99 % of them, ``days_of_latest`` that of the latest.
    """

    events: int
    days_of_99_percent: int
    days_of_latest: int


@dataclass
class RecountReport:
    """What the recount of one run has found.

    ``grown`` holds by how much Klaviyo's counts have grown, by metric and first day of a period.
    ``refused`` and ``unstable`` are metrics that are swept instead: why, by ID.
    """

    today: int = 0
    grown: dict[tuple[str, int], int] = field(default_factory=dict)
    refused: dict[str, StreamError] = field(default_factory=dict)
    unstable: list[str] = field(default_factory=list)

    def add(self, metric: str, grown: Mapping[int, int]) -> None:
        """Adds the growth of a metric, which several streams may have."""
        self.grown |= {(metric, day): events for day, events in grown.items()}

    @property
    def late(self) -> LateEvents | None:
        """How late events came; None if there were none."""
        by_lateness = sorted((self.today - day, n) for (_, day), n in self.grown.items())
        events = sum(n for _, n in by_lateness)
        if not events:
            return None
        seen = 0
        for days, n in by_lateness:
            seen += n
            if seen >= MOST * events:
                return LateEvents(events, days, by_lateness[-1][0])
        raise AssertionError("99 % are not more than all")

    def log(self, counts: Iterable[MetricCounts]) -> None:
        """Logs what was found, and what is left for later runs."""
        if late := self.late:
            logger.info(
                "Klaviyo's counts have grown: of %s late events %d %% came within %s, the "
                "latest after %s at most.",
                f"{late.events:,}",
                MOST * 100,
                _days(late.days_of_99_percent),
                _days(late.days_of_latest),
            )
        if self.refused:
            reason = next(iter(self.refused.values()))
            logger.warning(
                "Klaviyo gives no counts of these metrics, so they are swept: %s. %s",
                listed(self.refused),
                reason,
            )
        if self.unstable:
            logger.warning(
                "Klaviyo's counts of these metrics contradict each other, so they are swept, and "
                "tried again in a week: %s.",
                listed(dict.fromkeys(self.unstable)),
            )
        _log_rest([period for one in counts for period in one.periods])


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number:,} days"


def _log_rest(periods: list[Period]) -> None:
    """Says how far back the periods were read as a whole, if some are still due."""
    due = [period for period in periods if period.due]
    if due:
        logger.info(
            "Klaviyo's counts: %d of %d days and months are still to be read, the newest before "
            "%s. Later runs go on, as far as recount_budget allows.",
            len(due),
            len(periods),
            iso_day(max(period.end for period in due)),
        )
