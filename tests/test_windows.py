"""Splitting time into windows, and the low-water mark."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tap_klaviyo.sync.windows import Window, WindowTracker, growing

START = 1_000


class Readers(RuleBasedStateMachine):
    """Readers take, split and finish windows of one tracker in any order.

    The model counts how often each second was read and which windows are open. No window holds
    more than ``split_after`` records, because a reader would split it there.
    """

    @initialize(
        length=st.integers(min_value=0, max_value=300),
        split_after=st.integers(min_value=1, max_value=100),
        page_size=st.integers(min_value=1, max_value=20),
        windows=st.integers(min_value=1, max_value=5),
    )
    def begin(self, length: int, split_after: int, page_size: int, windows: int) -> None:
        """All windows are pending."""
        self.split_after = split_after
        self.read_ahead = split_after * windows
        self.tracker = WindowTracker(
            START,
            START + length,
            split_after=split_after,
            page_size=page_size,
            read_ahead=self.read_ahead,
        )
        self.end = START + length
        self.times_done = dict.fromkeys(range(START, self.end), 0)
        self.open: list[Window] = []
        self.finished: dict[Window, int] = {}
        self.last_low_water_mark = START

    def oldest_not_done(self) -> int:
        """The low-water mark according to the model."""
        return next((second for second, times in self.times_done.items() if not times), self.end)

    def records_after_low_water_mark(self) -> int:
        """Number of records after the low-water mark, read or possibly in open windows."""
        low_water_mark = self.tracker.low_water_mark
        done = sum(
            records for window, records in self.finished.items() if window.start > low_water_mark
        )
        return done + len(self.open) * self.split_after

    @rule()
    def take(self) -> None:
        """A reader asks for a window."""
        before = self.records_after_low_water_mark()
        window = self.tracker.take()
        if window is None:
            # Another window must be open, otherwise the read would never end.
            assert self.open or self.tracker.finished
            return
        assert START <= window.start < window.end <= self.end
        assert not any(window.start < w.end and w.start < window.end for w in self.open)
        assert not any(self.times_done[second] for second in range(*window))
        assert window.start == self.tracker.low_water_mark or before < self.read_ahead
        self.open.append(window)

    @precondition(lambda self: any(window.end - window.start > 1 for window in self.open))
    @rule(
        data=st.data(),
        page_seconds=st.integers(min_value=1, max_value=400),
        idle=st.integers(min_value=-1, max_value=40),
        is_long=st.booleans(),
    )
    def split(self, data: st.DataObject, page_seconds: int, idle: int, is_long: bool) -> None:
        """A reader keeps the first part of its window and returns the rest, or keeps all of it."""
        wide = [window for window in self.open if window.end - window.start > 1]
        window = data.draw(st.sampled_from(wide))
        at = data.draw(st.integers(min_value=window.start + 1, max_value=window.end - 1))
        if self.tracker.split(window, at, page_seconds, idle, is_long=is_long):
            self.open[self.open.index(window)] = Window(window.start, at)
        else:
            assert not is_long

    @precondition(lambda self: self.open)
    @rule(data=st.data(), records=st.integers(min_value=0, max_value=10_000))
    def observe(self, data: st.DataObject, records: int) -> None:
        """A page shows how many records a window holds."""
        window = data.draw(st.sampled_from(self.open))
        self.tracker.observe(window, records, window.start if records else None)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.floats(min_value=0, max_value=1))
    def finish(self, data: st.DataObject, share: float) -> None:
        """A reader finishes its window."""
        self._finish(data.draw(st.sampled_from(self.open)), int(self.split_after * share))

    def _finish(self, window: Window, records: int) -> None:
        self.open.remove(window)
        self.finished[window] = records
        for second in range(*window):
            self.times_done[second] += 1
        self.tracker.finish(window, records)

    @invariant()
    def low_water_mark_is_exact(self) -> None:
        """The low-water mark is the oldest second that was not read, and never moves back."""
        assert self.tracker.low_water_mark == self.oldest_not_done()
        assert self.tracker.low_water_mark >= self.last_low_water_mark
        self.last_low_water_mark = self.tracker.low_water_mark

    @invariant()
    def read_ahead_is_bounded(self) -> None:
        """Records after the low-water mark never exceed ``read_ahead`` plus one window."""
        assert self.records_after_low_water_mark() <= self.read_ahead + self.split_after

    def teardown(self) -> None:
        """From any state the rest can be read, and each second is read exactly once."""
        if not hasattr(self, "tracker"):
            return
        for _ in range(10_000):
            if (window := self.tracker.take()) is not None:
                self.open.append(window)
            elif self.open:
                self._finish(self.open[-1], 0)
            else:
                break
        assert self.tracker.finished
        assert self.tracker.low_water_mark == self.end
        assert set(self.times_done.values()) <= {1}


TestReaders = Readers.TestCase
TestReaders.settings = settings(max_examples=100)


def started(
    *, start: int = 0, end: int = 100_000, read: int = 10, records: int = 10, **sizes: int
) -> tuple[WindowTracker, Window]:
    """A tracker whose only window shows ``records`` in its first ``read`` seconds; the window."""
    tracker = WindowTracker(
        start, end, **{"split_after": 80, "page_size": 10, "read_ahead": 10_000, **sizes}
    )
    window = tracker.take()
    assert window == (start, end)
    tracker.observe(Window(start, start + read), records, start)
    return tracker, window


def split_at(tracker: WindowTracker, window: Window, at: int, idle: int, page: int = 10) -> Window:
    """Splits an open window for idle readers; what remains of it."""
    done = tracker.split(window, at, page, idle, is_long=False)
    return Window(window.start, at) if done else window


def pending(tracker: WindowTracker) -> list[Window]:
    """Takes all windows that are pending."""
    return list(iter(tracker.take, None))


def test_nothing_to_read() -> None:
    """An empty period is finished from the start."""
    tracker = WindowTracker(5, 5, split_after=1, page_size=1, read_ahead=1)
    assert tracker.take() is None
    assert tracker.finished
    assert tracker.low_water_mark == 5


def test_the_first_window_is_read_alone() -> None:
    """All pending time is one window until its first page has come."""
    tracker = WindowTracker(0, 100, split_after=1, page_size=1, read_ahead=4)
    assert tracker.take() == (0, 100)
    assert tracker.take() is None


@pytest.mark.parametrize(
    ("seconds", "page", "readers", "expected"),
    [
        (1000, 10, 1, [1000]),
        (1000, 10, 2, [50, 1000]),
        (1000, 10, 16, [10, 20, 60, 270, 514, 758, 1000]),
        (100_000, 10, 16, [10, 20, 60, 270, 1822, 18453, 45636, 72819, 100_000]),
        (100_000, 10, 3, [108, 2321, 100_000]),
        (25, 10, 16, [10, 15, 20, 25]),
        (14, 10, 16, [5, 10, 14]),
        (2, 1, 16, [1, 2]),
        (1, 1, 16, [1]),
    ],
)
def test_windows_grow(seconds: int, page: int, readers: int, expected: list[int]) -> None:
    """Windows after a page start one page wide and grow; the widest one is parted evenly."""
    ends = [end - 7 for _, end in growing(Window(7, 7 + seconds), page, readers)]
    assert ends == expected


@given(
    seconds=st.integers(min_value=1, max_value=10**9),
    page=st.floats(min_value=1, max_value=10**8),
    readers=st.integers(min_value=1, max_value=64),
)
def test_growing_windows_cover_the_rest(seconds: int, page: float, readers: int) -> None:
    """The windows follow each other without a gap, and there is at most one for each reader."""
    windows = growing(Window(0, seconds), page, readers)
    starts = [start for start, _ in windows]
    assert [*starts, seconds] == [0, *(end for _, end in windows)]
    assert all(start < end for start, end in windows)
    assert len(windows) <= readers


@pytest.mark.parametrize(("idle", "is_split"), [(-1, False), (0, False), (1, True), (30, True)])
def test_windows_are_split_for_idle_readers(idle: int, is_split: bool) -> None:
    """A window is split only while readers are idle."""
    tracker, window = started()
    assert tracker.split(window, 10, 10, idle, is_long=False) is is_split


@pytest.mark.parametrize(("end", "is_split"), [(30, False), (31, True)])
def test_short_windows_are_not_split(end: int, is_split: bool) -> None:
    """A rest of two pages, as the last page suggests, is not shared."""
    tracker, window = started(end=end)
    assert tracker.split(window, 10, 10, 5, is_long=False) is is_split


def test_long_windows_are_split_without_idle_readers() -> None:
    """The rest of a long window becomes one window."""
    tracker, window = started()
    assert tracker.split(window, 10, 10, 0, is_long=True)
    assert pending(tracker) == [(10, 100_000)]


def test_no_window_is_split_while_another_one_waits() -> None:
    """Idle readers take what is pending first."""
    tracker, window = started()
    window = split_at(tracker, window, 10, idle=2)
    waiting = tracker.take()
    assert waiting is not None
    assert split_at(tracker, waiting, waiting.start + 1, idle=9, page=1) == waiting


def test_most_idle_readers_help_where_most_is_left() -> None:
    """The window with most pages left gets all idle readers, another one its share."""
    tracker, window = started(end=1_000)
    split_at(tracker, window, 10, idle=1)
    small, large = pending(tracker)
    assert split_at(tracker, small, small.start + 1, idle=3, page=10) == small
    assert split_at(tracker, large, large.start + 1, idle=3, page=10) != large
    assert len(pending(tracker)) == 4


def test_empty_windows_are_bounded() -> None:
    """Windows are split for all idle readers only while few of them were empty."""
    tracker, window = started(records=0)
    window = split_at(tracker, window, 10, idle=31)
    counts = []
    for _ in range(6):
        windows = pending(tracker)
        counts.append(len(windows))
        for empty in windows[:-1]:
            tracker.observe(empty, 0, None)
            tracker.finish(empty, 0)
        tracker.observe(windows[-1], 0, None)
        split_at(tracker, windows[-1], windows[-1].start + 1, idle=31, page=1)
    assert counts[0] > 8
    assert counts[-1] <= 2


def test_time_before_the_first_record_is_ignored() -> None:
    """Time before the first record does not lower the estimate of what is pending."""
    tracker = WindowTracker(0, 100_000, split_after=100, page_size=10, read_ahead=1_000)
    window = tracker.take()
    assert window is not None
    tracker.observe(Window(0, 5_000), 50, 4_990)
    tracker.split(window, 5_000, 10, 0, is_long=True)
    assert tracker.pending_records == 95_000 * 5


def test_read_ahead() -> None:
    """At most ``read_ahead`` records are read or being read after an unfinished oldest window."""
    tracker, window = started(read_ahead=240)
    oldest = split_at(tracker, window, 10, idle=9)
    second, third = tracker.take(), tracker.take()
    assert second
    assert third
    assert tracker.take() is None
    tracker.finish(second, 80)
    assert tracker.take() is None
    assert tracker.low_water_mark == oldest.start
    tracker.finish(oldest, 10)
    assert tracker.low_water_mark == third.start
    assert tracker.take() is not None


def test_empty_windows_do_not_count_as_read_ahead() -> None:
    """Empty windows after the low-water mark do not use up ``read_ahead``."""
    tracker, window = started(read_ahead=160)
    split_at(tracker, window, 10, idle=9)
    count = 0
    while (empty := tracker.take()) is not None:
        tracker.finish(empty, 0)
        count += 1
    assert count > 5
