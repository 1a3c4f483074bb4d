"""A tap on a sandbox of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from syncs import Tap

from sandbox.account import Account
from sandbox.server import Sandbox


@pytest.fixture
def tap_on() -> Iterator[Callable[..., Tap]]:
    """Starts a sandbox for an account and gives a tap that reads it."""
    boxes: list[Sandbox] = []

    def start(account: Account, **options: Any) -> Tap:
        box = Sandbox(account, **options)
        box.__enter__()
        boxes.append(box)
        settings = {"api_key": box.key, "base_url": box.url, "start_date": "2000-01-01"}
        return Tap(box, settings)

    yield start
    for box in boxes:
        box.__exit__(None, None, None)
