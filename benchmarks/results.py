"""Results as tables: on the terminal, and as Markdown."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Measured, Outcome, hold
from benchmarks.measuring import Run
from benchmarks.scenarios import Scenario

PACKAGES = ("msgspec", "requests", "urllib3", "singer-python", "aiohttp")
RATIOS = ("what", "median", "lowest to highest", "bar", "")
NUMBERS = (
    "program",
    "events",
    "pages",
    "wall s",
    "CPU s",
    "CPU ms per 1,000",
    "peak MB",
    "MB sent",
    "429s",
    "sandbox CPU s",
)


@dataclass(frozen=True)
class Result:
    """What a scenario came to. ``fault`` says why it ended early, if it did."""

    scenario: Scenario
    measured: Measured
    fault: str = ""

    @property
    def outcomes(self) -> list[Outcome]:
        """Every bar with its values."""
        return [hold(bar, self.measured) for bar in self.scenario.bars]


def show(console: Console, results: Sequence[Result]) -> None:
    """Prints the ratios."""
    for result in results:
        table = Table(*RATIOS, title=result.scenario.title, title_justify="left", expand=True)
        for row in _ratios(result):
            table.add_row(*row)
        console.print(table)
        if result.fault:
            console.print(f"[red]{result.fault}[/]", highlight=False)


def markdown(results: Sequence[Result]) -> str:
    """The whole report: the machine, then ratios, then absolute numbers."""
    parts = ["# Results", _INTRODUCTION, *_facts(), "## Ratios, and what they should be"]
    for result in results:
        parts += [f"### {result.scenario.title}", _table(RATIOS, _ratios(result))]
        parts += [part for part in (result.scenario.note, result.fault) if part]
    parts.append("## Absolute numbers")
    parts.append("Medians. They are of this machine and this day.")
    for result in results:
        rows = [_numbers(name, runs) for name, runs in result.measured.items() if runs]
        parts += [f"### {result.scenario.title}", _table(NUMBERS, rows)]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = (
    "Written by `make bench`. The programs of a comparison run in turn, several rounds; a value is "
    "the median of the rounds. Each program is a whole process, measured by the operating system, "
    "against the sandbox in another process. After each run the ids written are held against the "
    "account's."
)


def _facts() -> list[str]:
    rows = {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "machine": f"{_processor()}, {os.cpu_count()} processors, {_memory()}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "tap-klaviyo": version("tap-klaviyo"),
        **{name: version(name) for name in PACKAGES},
    }
    return [_table(("", ""), ([name, fact] for name, fact in rows.items()))]


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    found = re.search(r"model name\s*: (.+)", text)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB"


def _ratios(result: Result) -> list[list[str]]:
    return [
        [outcome.bar.what, outcome.value, outcome.spread, outcome.bar.asked, outcome.verdict]
        for outcome in result.outcomes
    ]


def _numbers(name: str, runs: Sequence[Run]) -> list[str]:
    def of(values: Iterable[float], form: str = "{:,.0f}") -> str:
        return form.format(median(values))

    events = [run.events for run in runs]
    return [
        name,
        of(events),
        of(run.pages for run in runs),
        of((run.usage.wall for run in runs), "{:.2f}"),
        of((run.usage.cpu for run in runs), "{:.2f}"),
        of((run.usage.cpu / run.events * 1e6 for run in runs), "{:.1f}") if all(events) else "",
        of(run.usage.peak / 1e6 for run in runs),
        of(run.sent / 1e6 for run in runs),
        of(run.throttled for run in runs),
        of((run.server_cpu for run in runs), "{:.2f}"),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
