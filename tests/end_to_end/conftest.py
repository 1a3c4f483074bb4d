"""A tap with its own sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sync_runner import Tap, tap_of

from sandbox.account import Account


@pytest.fixture
def tap_on() -> Iterator[Callable[..., Tap]]:
    """Starts a sandbox for an account and returns a tap that reads it."""
    with ExitStack() as boxes:

        def start(account: Account, **options: Any) -> Tap:
            return boxes.enter_context(tap_of(account, **options))

        yield start
