"""Draws a flame graph of the tap: `python -m benchmarks.flame`, with py-spy installed.

The samples of a backfill without latency become docs/performance.svg. The width of a frame is its
share of the time in which the tap held the GIL; the functions that it calls are above it. Waiting,
sending, receiving and decompressing do not hold the GIL and are not counted.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from html import escape
from pathlib import Path

from benchmarks.account_process import AccountProcess, Conditions, Seed
from benchmarks.measuring import ALL_TIME, run_measured
from benchmarks.output_ids import METRICS
from benchmarks.programs import THE_TAP, Job

PICTURE = Path(__file__).parent.parent / "docs" / "performance.svg"
EVENTS = 200_000
RATE = "500"
WIDTH, ROW, MIN_SHARE = 1200.0, 17, 0.002
LETTER = 6.2
"""Width of a letter."""

_LINE = re.compile(r":\d+\)")


@dataclass
class Frame:
    """A function at its position in the stack, with the samples in it and in its callees."""

    samples: int = 0
    callees: dict[str, Frame] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """The number of rows of the frame and its callees."""
        return 1 + max((frame.height for frame in self.callees.values()), default=0)


def main() -> None:
    """Records the samples and draws the graph."""
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise SystemExit("py-spy is needed: pip install py-spy")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        AccountProcess(Seed(EVENTS)) as account,
        account.serving(Conditions()) as server,
    ):
        folder = Path(name)
        start = datetime.now(timezone.utc) - ALL_TIME
        job = Job(server.url, folder, tuple(METRICS), (), start)
        (command,) = THE_TAP.commands(job)
        recorder = [spy, "record", "--gil", "--function", "--rate", RATE]
        recorder += ["--format", "raw", "--output", "stacks", "--"]
        run_measured([recorder + command], folder / "output", folder, job.environment)
        PICTURE.write_text(draw(merge_stacks((folder / "stacks").read_text().splitlines())))


def merge_stacks(lines: Iterable[str]) -> Frame:
    """Merges the stacks of py-spy's raw format."""
    root = Frame()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frame = root
        frame.samples += int(count)
        for name in filter(None, _LINE.sub(")", stack).split(";")):
            frame = frame.callees.setdefault(name, Frame())
            frame.samples += int(count)
    return root


def draw(root: Frame) -> str:
    """The graph as SVG without scripts; the share of a frame is its tooltip."""
    height = root.height * ROW
    boxes = "\n".join(_boxes(root, "all", 0.0, WIDTH / root.samples, height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height}" '
        f'font-family="monospace" font-size="10">\n{boxes}\n</svg>\n'
    )


def _boxes(frame: Frame, name: str, left: float, scale: float, bottom: int) -> Iterator[str]:
    width = frame.samples * scale
    if width < WIDTH * MIN_SHARE:
        return
    share = f"{name}: {100 * width / WIDTH:.1f} %"
    shown = share if len(share) * LETTER < width else name[: int(width / LETTER)]
    hue = 20 + _shade(name) % 35
    yield (
        f'<g><title>{escape(share)}</title><rect x="{left:.1f}" y="{bottom - ROW}" '
        f'width="{width:.1f}" height="{ROW - 1}" fill="hsl({hue},80%,68%)"/>'
        f'<text x="{left + 2:.1f}" y="{bottom - 5}">{escape(shown)}</text></g>'
    )
    for callee, above in sorted(frame.callees.items()):
        yield from _boxes(above, callee, left, scale, bottom - ROW)
        left += above.samples * scale


def _shade(name: str) -> int:
    """A number from the name that is the same in every run."""
    return sum(name.encode())


if __name__ == "__main__":
    main()
