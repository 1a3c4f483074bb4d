"""The community's checker of taps has nothing to object to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from external_programs import TAP, pipe
from sandbox_account import Shop


def test_singer_check_tap(environment: Callable[[str], Path], shop: Shop, tmp_path: Path) -> None:
    """Schemas, records and states of all 21 streams are valid to singer-check-tap."""
    shop.furnish(tmp_path)
    checker = environment("singer-tools") / "singer-check-tap"
    tap = (TAP, "--config=config.json", "--catalog=catalog.json")
    summary = pipe(tap, (checker,), cwd=tmp_path)
    assert "The output is valid." in summary
    assert "messages for 21 streams" in summary
