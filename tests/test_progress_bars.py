"""Progress bars on a terminal, none elsewhere."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest

from tap_klaviyo.sync.progress_bars import Bars, progress_for_terminal


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        """It is a terminal."""
        return True


@pytest.fixture(autouse=True)
def logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The root logger without handlers, and a terminal wide enough for the bars."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    root = logging.getLogger()
    before = root.handlers[:]
    yield root
    root.handlers = before


def shown(stderr: io.StringIO) -> str:
    """Output of a run of two streams on ``stderr``, log lines included."""
    root = logging.getLogger()
    with redirect_stderr(stderr):
        root.handlers = [logging.StreamHandler(stderr)]
        with progress_for_terminal() as progress:
            progress.add("open", 1_000, 2_000)
            progress.add("lists", None, 2_000)
            progress.update("open", 1_500, 1_234)
            progress.update("lists", 0, 0)
            root.warning("METRIC: {}")
            root.warning("something to know")
            progress.finish("open")
            progress.finish("lists")
    return stderr.getvalue()


def test_pipe() -> None:
    """Without a terminal only log lines are written."""
    assert shown(io.StringIO()) == "METRIC: {}\nsomething to know\n"


def test_terminal() -> None:
    """On a terminal each stream has a bar with its record count; log lines appear above."""
    text = shown(Terminal())
    for expected in ("open", "lists", "1,234 records", "100%", "something to know"):
        assert expected in text
    assert "METRIC" not in text


def test_stdout_stays_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """Progress bars never write to stdout."""
    shown(Terminal())
    assert capsys.readouterr().out == ""


def test_logging_afterwards(logger: logging.Logger) -> None:
    """After the run, log lines go to stderr as before, metrics included."""
    terminal = Terminal()
    before = len(shown(terminal))
    with redirect_stderr(terminal):
        logger.warning("METRIC: after")
    assert terminal.getvalue()[before:] == "METRIC: after\n"


def test_failing_run() -> None:
    """A failed run restores the terminal."""
    terminal = Terminal()
    with redirect_stderr(terminal):
        progress = progress_for_terminal()
        assert isinstance(progress, Bars)
        progress.__enter__()
        progress.__exit__(LookupError, LookupError(), None)
    assert terminal.getvalue().rfind("\x1b[?25h") > terminal.getvalue().rfind("\x1b[?25l")
