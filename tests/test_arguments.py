"""Arguments of the command that do not fit: one line that says what to do, and exit code 2."""

from __future__ import annotations

import pytest
from log_lines import log_lines

from tap_klaviyo.cli import main


@pytest.mark.parametrize(
    "flags",
    [
        ["--discover", "--test"],
        ["--test", "--verify"],
        ["--verify", "--resync", "x"],
        ["--format", "xml"],
        ["--sync"],
        ["x"],
    ],
)
def test_wrong_arguments(capfd: pytest.CaptureFixture[str], flags: list[str]) -> None:
    """Invalid arguments are one line that leads to --help, and exit with 2."""
    assert main(flags) == 2
    (line,) = log_lines(capfd.readouterr().err)
    assert line.startswith("CRITICAL Invalid arguments: ")
    assert line.endswith(" See tap-klaviyo --help.")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--verify"], "--verify: pass the state of the last run with --state."),
        (
            ["--verify", "-s", "x", "--format", "markdown"],
            "--format: --verify writes text or json.",
        ),
        (["--target-counts", "x"], "--target-counts: add --verify."),
        (["--target-counts", ""], "--target-counts: the name of the file is empty."),
        (["--verify", "--state", ""], "--state: the name of the file is empty."),
    ],
)
def test_options_that_do_not_fit(
    capfd: pytest.CaptureFixture[str], flags: list[str], expected: str
) -> None:
    """Options that need others, or exclude a value, are one line that says what to do."""
    assert main(flags) == 2
    assert log_lines(capfd.readouterr().err) == [f"CRITICAL {expected}"]
