"""Splitting time into windows, and the low-water mark."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tap_klaviyo.sync.windows import Window, WindowTracker

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

    @rule(readers=st.integers(min_value=1, max_value=40))
    def take(self, readers: int) -> None:
        """A reader asks for a window."""
        before = self.records_after_low_water_mark()
        window = self.tracker.take(readers)
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
    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        """A reader keeps the first part of its window and returns the rest."""
        wide = [window for window in self.open if window.end - window.start > 1]
        window = data.draw(st.sampled_from(wide))
        at = data.draw(st.integers(min_value=window.start + 1, max_value=window.end - 1))
        self.tracker.give_back(Window(at, window.end))
        self.open[self.open.index(window)] = Window(window.start, at)

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
            if (window := self.tracker.take(1)) is not None:
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


def observed(per_second: int, *, end: int = 100_000, pages: int = 8, **sizes: int) -> WindowTracker:
    """A tracker whose first 10 seconds were read as ``pages`` pages of a given density."""
    tracker = WindowTracker(
        0, end, **{"split_after": 100, "page_size": 10, "read_ahead": 1_000, **sizes}
    )
    assert tracker.take(1) == (0, end)
    tracker.give_back(Window(10, end))
    for _ in range(pages):
        tracker.observe(Window(0, 10), per_second * 10, 0)
    tracker.finish(Window(0, 10), per_second * 10)
    return tracker


def test_nothing_to_read() -> None:
    """An empty period is finished from the start."""
    tracker = WindowTracker(5, 5, split_after=1, page_size=1, read_ahead=1)
    assert tracker.take(1) is None
    assert tracker.finished
    assert tracker.low_water_mark == 5


def test_unknown_density() -> None:
    """Without a density estimate all pending time is one window."""
    assert WindowTracker(0, 100, split_after=1, page_size=1, read_ahead=4).take(30) == (0, 100)


def test_width_follows_density() -> None:
    """A window is at most four times as wide as the observed density suggests."""
    tracker = observed(per_second=5)
    assert tracker.take(1) == (10, 90)
    assert tracker.take(1) == (90, 170)


def test_first_pages_are_not_trusted() -> None:
    """Pending time is shared evenly among idle readers while few pages are known."""
    tracker = observed(per_second=5_000, end=1_010, pages=1)
    assert [tracker.take(readers) for readers in (10, 9)] == [(10, 110), (110, 210)]


@pytest.mark.parametrize(("pages", "width"), [(8, 20), (7, 10)])
def test_early_density_estimates_are_raised(pages: int, width: int) -> None:
    """Windows are narrower than the estimate suggests while few pages are known."""
    assert observed(per_second=1, end=210, pages=pages).take(20) == (10, 10 + width)


def test_idle_readers_share_pending_time() -> None:
    """Pending time that may hold a few pages is shared evenly among idle readers."""
    tracker = observed(per_second=1, end=210)
    taken = [tracker.take(readers) for readers in (4, 3, 2, 1)]
    assert taken == [(10, 60), (60, 110), (110, 160), (160, 210)]


def test_small_windows_are_not_shared() -> None:
    """No reader gets a window with less than two expected pages."""
    tracker = observed(per_second=1, end=60)
    assert tracker.take(30) == (10, 35)


@pytest.mark.parametrize(("seconds", "worth"), [(20, False), (21, True)])
def test_worth_sharing(seconds: int, worth: bool) -> None:
    """A window with more than two expected pages is worth sharing."""
    assert observed(per_second=1).worth_sharing(500, 500 + seconds) is worth


def test_unknown_density_is_worth_sharing() -> None:
    """A window is worth sharing while no density is known."""
    assert WindowTracker(0, 100, split_after=1, page_size=1, read_ahead=4).worth_sharing(0, 1)


def test_time_before_the_first_record_is_ignored() -> None:
    """Time before the first record does not lower the density estimate."""
    tracker = WindowTracker(0, 100_000, split_after=100, page_size=10, read_ahead=1_000)
    tracker.take(1)
    tracker.observe(Window(0, 5_000), 50, 4_990)
    assert tracker.worth_sharing(5_000, 5_005)
    assert not tracker.worth_sharing(5_000, 5_004)


def test_a_second_is_never_split() -> None:
    """A window is at least one second wide, whatever the density."""
    assert observed(per_second=50_000).take(1) == (10, 11)


def test_no_small_remainder() -> None:
    """A small remainder is added to the last window."""
    assert observed(per_second=5, end=130).take(1) == (10, 130)


def test_empty_pages_widen_windows() -> None:
    """An empty page makes the next windows wider."""
    tracker = observed(per_second=5)
    assert tracker.take(1) == (10, 90)
    tracker.observe(Window(10, 90), 0, None)
    wider = tracker.take(1)
    assert wider is not None
    assert wider.end - wider.start > 80


def test_dense_pages_narrow_windows() -> None:
    """A dense page makes the next windows narrower."""
    tracker = observed(per_second=5)
    tracker.take(1)
    tracker.observe(Window(10, 11), 100_000, 10)
    narrower = tracker.take(1)
    assert narrower is not None
    assert narrower.end - narrower.start < 2


def test_read_ahead() -> None:
    """At most ``read_ahead`` records are read or being read after an unfinished oldest window."""
    tracker = observed(per_second=5, read_ahead=300)
    oldest, second, third = (tracker.take(1) for _ in range(3))
    assert oldest
    assert second
    assert third
    assert tracker.take(1) is None
    tracker.finish(second, 100)
    assert tracker.take(1) is None
    assert tracker.low_water_mark == oldest.start
    tracker.finish(oldest, 100)
    assert tracker.low_water_mark == third.start
    assert tracker.take(1) is not None


def test_empty_windows_do_not_count_as_read_ahead() -> None:
    """Empty windows after the low-water mark do not use up ``read_ahead``."""
    tracker = observed(per_second=5, read_ahead=200)
    tracker.take(1)
    for _ in range(50):
        window = tracker.take(1)
        assert window is not None
        tracker.finish(window, 0)
