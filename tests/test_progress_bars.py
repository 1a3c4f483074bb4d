"""Progress bars on a terminal, none elsewhere."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr

import pytest

from tap_klaviyo.sync.progress_bars import Bars, Progress, progress_for_terminal

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """It is a terminal."""
        return True

    def last(self) -> list[str]:
        """The lines that stay."""
        text = ESCAPES.sub("", self.getvalue().rpartition("\x1b[2K")[2]).replace("\r", "")
        return [line.rstrip() for line in text.splitlines() if line.strip()]


class FakeClock:
    """Time that tests set."""

    seconds = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.seconds


@pytest.fixture(autouse=True)
def logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The root logger without handlers, and a terminal wide enough for the bars."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
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
            for stream in ("open", "lists"):
                progress.add(stream)
            root.warning("METRIC: {}")
            root.warning("something to know")
            if progress.is_due("open"):
                progress.update("open", 0.5, 1_000)
            progress.finish("open", 1_234)
            progress.finish("lists", 7)
    return stderr.getvalue()


def test_pipe() -> None:
    """Without a terminal only log lines are written."""
    assert shown(io.StringIO()) == "METRIC: {}\nsomething to know\n"


def test_a_terminal_that_cannot_move_its_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dumb terminal, such as an editor's, gets log lines only."""
    monkeypatch.setenv("TERM", "dumb")
    assert shown(Terminal()) == "METRIC: {}\nsomething to know\n"


def test_terminal() -> None:
    """On a terminal each stream has a bar with its record count; log lines appear above."""
    text = shown(Terminal())
    for expected in ("open", "lists", "1,234 records", "100%", "something to know"):
        assert expected in text
    assert "METRIC" not in text
    assert "2 of 2 streams, 1,241 records, " in ESCAPES.sub("", text)


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


def test_log_files(logger: logging.Logger) -> None:
    """A handler of a file keeps its file while bars are shown."""
    file = io.StringIO()
    with redirect_stderr(Terminal()) as terminal:
        logger.handlers = [logging.StreamHandler(file)]
        with progress_for_terminal():
            logger.warning("to the file")
    assert file.getvalue() == "to the file\n"
    assert "to the file" not in terminal.getvalue()


def test_failing_run() -> None:
    """A failed run restores the terminal."""
    terminal = Terminal()
    with redirect_stderr(terminal):
        progress = progress_for_terminal()
        assert isinstance(progress, Bars)
        progress.__enter__()
        progress.__exit__(LookupError, LookupError(), None)
    assert terminal.getvalue().rfind("\x1b[?25h") > terminal.getvalue().rfind("\x1b[?25l")


def drawn(run: Callable[[Progress, FakeClock], None], *, ended: bool = True) -> list[str]:
    """The lines on the terminal after ``run``, or while it has not ``ended``."""
    terminal, clock = Terminal(), FakeClock()
    with redirect_stderr(terminal):
        bars = Bars(clock)
        bars.__enter__()
        run(bars, clock)
        if not ended:
            bars._live.refresh()
            lines = terminal.last()
        bars.__exit__(None, None, None)
    return terminal.last() if ended else lines


def add_and_read(progress: Progress, clock: FakeClock) -> None:
    """A run that has done some streams, failed at one, and is reading others."""
    for stream in ("done", "failed", "waiting", "slow", "quick", "parents"):
        progress.add(stream)
    progress.finish("done", 10)
    clock.seconds = 10.0
    progress.update("slow", 0.05, 50)
    progress.update("quick", 0.85, 4_000)
    progress.update("parents", None, 7)
    progress.update("failed", 0.3, 20)
    progress.fail("failed", 21)
    clock.seconds = 20.0
    progress.update("quick", 0.95, 6_000)


def test_the_order_of_streams() -> None:
    """Streams that are read come first, then failed ones with a cross, waiting and done ones."""
    lines = drawn(add_and_read, ended=False)
    names = [re.sub(r"[^a-z].*", "", line.lstrip(" •✗✓")) for line in lines[:-1]]
    assert names == ["slow", "quick", "parents", "failed", "waiting", "done"]
    assert [line[0] for line in lines[:-1]] == ["•", "•", "•", "✗", " ", "✓"]


def test_shares() -> None:
    """A share is shown where it is known; a failed stream keeps its own."""
    lines = {
        line.split()[1]: line for line in drawn(add_and_read, ended=False)[:-1] if line[0] != " "
    }
    found = {name: re.search(r"(\d+)%", line) for name, line in lines.items()}
    shares = {name: match and int(match[1]) for name, match in found.items()}
    assert shares == {"slow": 5, "quick": 95, "parents": None, "failed": 30, "done": 100}
    assert "600/s" in lines["quick"]


def test_the_line_for_all() -> None:
    """The last line counts streams and records, and estimates the remaining time."""
    *_, last = drawn(add_and_read, ended=False)
    expected = r"1 of 6 streams, 1 failed, 6,088 records, 304/s, 0:00:20, about 0:00:20 left"
    assert last == expected


def test_what_stays() -> None:
    """At the end all streams are shown in the order of the catalog, and no estimate."""
    lines = drawn(add_and_read)
    assert [line.lstrip(" •✗✓").split()[0] for line in lines[:-1]] == [
        "done", "failed", "waiting", "slow", "quick", "parents",
    ]  # fmt: skip
    assert "left" not in lines[-1]


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_widths(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Each stream has one line, its name and count are never left out for a bar."""
    monkeypatch.setenv("COLUMNS", str(columns))
    name = "unsubscribed_from_text_message_transactional"

    def run(progress: Progress, clock: FakeClock) -> None:
        progress.add(name)
        progress.update(name, 0.5, 1_234_567)

    first, *_ = drawn(run)
    assert len(first) <= columns
    assert first.startswith("• unsubscribed_from")
    assert "1,234,567" in first
    assert "50%" in first
    assert (name in first) == (columns >= 80)
    assert ("━" in first) == (columns >= 100)


def test_more_streams_than_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit on the screen is counted, and what is read is shown."""
    monkeypatch.setenv("LINES", "10")

    def run(progress: Progress, clock: FakeClock) -> None:
        for number in range(68):
            progress.add(f"stream_{number}")
        progress.update("stream_67", 0.5, 1)

    *lines, last = drawn(run, ended=False)
    assert len(lines) == 7
    assert "stream_67" in lines[0]
    assert "0 of 68 streams, 61 not shown" in last


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR nothing is coloured."""
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    shown(terminal)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", terminal.getvalue())


def test_a_terminal_without_unicode() -> None:
    """A terminal that shows ASCII only gets ASCII only."""
    terminal = Terminal()
    terminal.encoding = "ascii"
    text = shown(terminal)
    assert text.isascii()
    assert "+ open" in ESCAPES.sub("", text)


def test_updates_are_bounded() -> None:
    """A stream is updated ten times a second at most, so that pages do not wait for the screen."""
    clock = FakeClock()
    with redirect_stderr(Terminal()):
        bars = Bars(clock)
    bars.add("open")
    due = []
    for _ in range(100):
        clock.seconds += 0.01
        due.append(bars.is_due("open"))
        if due[-1]:
            bars.update("open", None, 1)
    assert 9 <= sum(due) <= 11
