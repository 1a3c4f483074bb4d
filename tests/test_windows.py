"""Time cut into windows, and the low-water mark that moves over what is done."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tap_klaviyo.windows import Timeline, Window

START = 1_000


class Readers(RuleBasedStateMachine):
    """Readers take, cut and finish windows of one timeline in any order.

    The model keeps a book of every second: how often it was done, and who has it open.
    """

    @initialize(
        length=st.integers(min_value=0, max_value=300),
        goal=st.integers(min_value=1, max_value=100),
        ahead=st.integers(min_value=1, max_value=5),
    )
    def begin(self, length: int, goal: int, ahead: int) -> None:
        """Everything waits."""
        self.ahead = ahead
        self.timeline = Timeline(START, START + length, goal=goal, ahead=ahead)
        self.end = START + length
        self.times_done = dict.fromkeys(range(START, self.end), 0)
        self.open: list[Window] = []
        self.finished: list[Window] = []
        self.last_mark = START

    def oldest_not_done(self) -> int:
        """The mark as the book has it."""
        return next((second for second, times in self.times_done.items() if not times), self.end)

    def beyond(self) -> int:
        """How many windows are open, or done beyond the mark."""
        mark = self.timeline.mark
        return len(self.open) + sum(window.start > mark for window in self.finished)

    @rule()
    def take(self) -> None:
        """A reader asks for a window."""
        before = self.beyond()
        window = self.timeline.take()
        if window is None:
            # Somebody else must be at work: otherwise nobody could ever go on.
            assert self.open or self.timeline.finished
            return
        assert START <= window.start < window.end <= self.end
        assert not any(window.start < w.end and w.start < window.end for w in self.open)
        assert not any(self.times_done[second] for second in range(*window))
        assert window.start == self.timeline.mark or before < self.ahead
        self.open.append(window)

    @precondition(lambda self: any(window.end - window.start > 1 for window in self.open))
    @rule(data=st.data(), records=st.integers(min_value=0, max_value=10_000))
    def cut(self, data: st.DataObject, records: int) -> None:
        """A reader keeps the first part of its window and gives the rest back."""
        wide = [window for window in self.open if window.end - window.start > 1]
        window = data.draw(st.sampled_from(wide))
        at = data.draw(st.integers(min_value=window.start + 1, max_value=window.end - 1))
        self.timeline.give_back(Window(at, window.end))
        self.open[self.open.index(window)] = Window(window.start, at)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), records=st.integers(min_value=0, max_value=10_000))
    def finish(self, data: st.DataObject, records: int) -> None:
        """A reader is done with its window."""
        window = data.draw(st.sampled_from(self.open))
        self._finish(window, records)

    def _finish(self, window: Window, records: int) -> None:
        self.open.remove(window)
        self.finished.append(window)
        for second in range(*window):
            self.times_done[second] += 1
        self.timeline.finish(window, records)

    @invariant()
    def mark_is_exact(self) -> None:
        """The mark is the oldest second that is not done, and never goes back."""
        assert self.timeline.mark == self.oldest_not_done()
        assert self.timeline.mark >= self.last_mark
        self.last_mark = self.timeline.mark

    @invariant()
    def run_ahead_is_bounded(self) -> None:
        """No more windows are in hand beyond the mark than allowed, the mark's own apart."""
        assert self.beyond() <= self.ahead + 1

    def teardown(self) -> None:
        """From any state the rest can be read, and then each second was done exactly once."""
        if not hasattr(self, "timeline"):
            return
        for _ in range(10_000):
            if (window := self.timeline.take()) is not None:
                self.open.append(window)
            elif self.open:
                self._finish(self.open[-1], 0)
            else:
                break
        assert self.timeline.finished
        assert self.timeline.mark == self.end
        assert set(self.times_done.values()) <= {1}


TestReaders = Readers.TestCase
TestReaders.settings = settings(max_examples=100)


def dense(per_second: int, *, goal: int = 100, ahead: int = 4) -> tuple[Timeline, Window]:
    """A timeline whose first window was cut after 10 seconds, and the next window."""
    timeline = Timeline(0, 100_000, goal=goal, ahead=ahead)
    first = timeline.take()
    assert first == (0, 100_000)
    timeline.give_back(Window(10, 100_000))
    timeline.finish(Window(0, 10), per_second * 10)
    following = timeline.take()
    assert following is not None
    return timeline, following


def test_nothing_to_read() -> None:
    """A span without a second is finished from the start."""
    timeline = Timeline(5, 5, goal=1, ahead=1)
    assert timeline.take() is None
    assert timeline.finished
    assert timeline.mark == 5


def test_unknown_density() -> None:
    """As long as nothing is known, all that waits is one window."""
    assert Timeline(0, 100, goal=1, ahead=4).take() == (0, 100)


def test_width_follows_density() -> None:
    """After a cut, windows are four times as wide as holds the goal at the density seen."""
    timeline, following = dense(per_second=5)
    assert following == (10, 90)
    assert timeline.take() == (90, 170)


def test_time_before_the_first_record_is_no_sign_of_quiet() -> None:
    """The density of a cut window is that from its first record on."""
    timeline = Timeline(0, 100_000, goal=100, ahead=4)
    timeline.take()
    timeline.give_back(Window(5_000, 100_000))
    timeline.finish(Window(0, 5_000), 50, since=4_990)
    assert timeline.take() == (5_000, 5_080)
    assert timeline.waiting == 5 * (100_000 - 5_080)


def test_a_second_is_never_cut() -> None:
    """However dense a burst is, a window holds a second at least."""
    _, following = dense(per_second=50_000)
    assert following == (10, 11)


def test_no_crumbs() -> None:
    """A rest that is hardly wider than a window goes with it."""
    timeline = Timeline(0, 130, goal=100, ahead=4)
    timeline.take()
    timeline.give_back(Window(10, 130))
    timeline.finish(Window(0, 10), 40)
    assert timeline.take() == (10, 130)


def test_quiet_times_widen() -> None:
    """An empty window makes the next ones wider."""
    timeline, following = dense(per_second=5)
    timeline.finish(following, 0)
    wider = timeline.take()
    assert wider is not None
    assert wider.end - wider.start > 4 * (following.end - following.start)


def test_bursts_narrow() -> None:
    """A window that turns out dense makes the next ones narrower."""
    timeline, following = dense(per_second=5)
    timeline.finish(following, 100_000)
    narrower = timeline.take()
    assert narrower is not None
    assert narrower.end - narrower.start < 2


def test_run_ahead() -> None:
    """A slow oldest window lets only so many others go ahead of it, done or not."""
    timeline, oldest = dense(per_second=5, ahead=3)
    second, third = timeline.take(), timeline.take()
    assert second is not None
    assert third is not None
    assert timeline.take() is None
    timeline.finish(second, 100)
    assert timeline.take() is None
    assert timeline.mark == oldest.start
    timeline.finish(oldest, 100)
    assert timeline.mark == third.start
    assert timeline.take() is not None
