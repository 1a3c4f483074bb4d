"""singer-check-tap accepts the output of the tap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from external_programs import TAP, pipe
from sandbox_account import SandboxAccount


def test_singer_check_tap(
    environment: Callable[[str], Path], klaviyo: SandboxAccount, tmp_path: Path
) -> None:
    """The schemas, records and states of all 21 streams are valid."""
    klaviyo.write_files(tmp_path)
    checker = environment("singer-tools") / "singer-check-tap"
    tap = (TAP, "--config=config.json", "--catalog=catalog.json")
    summary = pipe(tap, (checker,), cwd=tmp_path)
    assert "The output is valid." in summary
    assert "messages for 21 streams" in summary
