"""Lookups in the account that some streams have to wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.account import Metrics
from tap_klaviyo.reports.queries import Question
from tap_klaviyo.sync.stream_sync import Table


@dataclass(eq=False)
class Inquiry:
    """What the account has is to be asked for, since nobody can plan ``tables`` without it."""

    tables: Sequence[Table]


Answers: TypeAlias = list[tuple[Metrics, list[Question]] | StreamError]
"""What each table of an inquiry can be planned with, or why it cannot."""
