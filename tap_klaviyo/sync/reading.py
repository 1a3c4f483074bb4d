"""What a run reads of a stream: all that the stream holds, what was updated, or nothing. Data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """What a run reads of a stream. All times are Unix seconds.

    ``not_due_until`` is when all of a full table is due again, None if this run reads all of it.
    Until then, a stream with ``since`` is read in part: the children of parents that Klaviyo says
    were updated since then, or that are not among the ``known`` ones. Records of a part belong to
    the table ``version`` of the last full read.
    """

    not_due_until: int | None = None
    since: int | None = None
    known: frozenset[str] = frozenset()
    version: int | None = None

    @property
    def is_skipped(self) -> bool:
        """Whether nothing is read."""
        return self.not_due_until is not None and self.since is None

    @property
    def is_partial(self) -> bool:
        """Whether only a part of the stream is read."""
        return self.since is not None

    def wants(self, parent_id: str, updated: int | None) -> bool:
        """Whether the children of a parent are read; ``updated`` is None if it is not known."""
        is_new = updated is None or parent_id not in self.known
        return self.since is None or is_new or (updated or 0) >= self.since


def widened(reading: Reading, others: Sequence[Reading]) -> Reading:
    """A reading that covers ``reading`` and the ``others``."""
    readings = (reading, *others)
    if not all(one.is_partial for one in readings):
        return Reading()
    return Reading(
        reading.not_due_until,
        min(one.since or 0 for one in readings),
        frozenset.intersection(*(one.known for one in readings)),
        reading.version,
    )
