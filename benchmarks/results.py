"""Prints results on the terminal and writes them as Markdown."""

from __future__ import annotations

import json
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

from benchmarks.figures import Measured, Outcome, evaluate
from benchmarks.measuring import Run
from benchmarks.scenarios import Scenario
from tap_klaviyo import __version__

PACKAGES = ("msgspec", "requests", "urllib3", "singer-python", "aiohttp")
RATIOS = ("figure", "median", "range", "goal", "")
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
    """The runs of a scenario; ``fault`` is the error that ended it early, if any."""

    scenario: Scenario
    measured: Measured
    fault: str = ""

    @property
    def outcomes(self) -> list[Outcome]:
        """Every goal with its values."""
        return [evaluate(goal, self.measured) for goal in self.scenario.goals]


def show(console: Console, results: Sequence[Result]) -> None:
    """Prints the figures of each scenario."""
    for result in results:
        table = Table(*RATIOS, title=result.scenario.title, title_justify="left", expand=True)
        for row in _ratios(result):
            table.add_row(*row)
        console.print(table)
        if result.fault:
            console.print(f"[red]{result.fault}[/]", highlight=False)


def markdown(results: Sequence[Result]) -> str:
    """The report as Markdown: the machine, the figures and the absolute numbers."""
    parts = ["# Results", _INTRODUCTION, *_environment(), "## Figures and goals"]
    for result in results:
        parts += [f"### {result.scenario.title}", _table(RATIOS, _ratios(result))]
        parts += [part for part in (result.scenario.note, result.fault) if part]
    parts.append("## Absolute numbers")
    parts.append("Medians of the rounds, on this machine.")
    for result in results:
        rows = [_numbers(name, runs) for name, runs in result.measured.items() if runs]
        parts += [f"### {result.scenario.title}", _table(NUMBERS, rows)]
    return "\n\n".join(parts) + "\n"


def as_json(results: Sequence[Result]) -> str:
    """The median, the range and the verdict of each goal as JSON, by scenario and label."""
    found = {
        result.scenario.name: {
            outcome.goal.label: {
                "median": median(outcome.values),
                "lowest": min(outcome.values),
                "highest": max(outcome.values),
                "goal": outcome.goal.text,
                "verdict": outcome.verdict,
            }
            for outcome in result.outcomes
            if outcome.values
        }
        for result in results
    }
    versions = {"date": f"{datetime.now(timezone.utc):%Y-%m-%d}", "version": __version__}
    return json.dumps({**versions, "scenarios": found}, indent=2) + "\n"


_INTRODUCTION = (
    "Written by `make bench`. The programs of a scenario run alternately for several rounds; each "
    "value is the median of the rounds. Each program runs in its own process, which the operating "
    "system measures, against a sandbox in another process. After each run the written ids are "
    "compared with those of the account."
)


def _environment() -> list[str]:
    rows = {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "machine": f"{_processor()}, {os.cpu_count()} processors, {_memory()}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "tap-klaviyo": __version__,
        **{name: version(name) for name in PACKAGES},
    }
    return [_table(("", ""), ([name, value] for name, value in rows.items()))]


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    found = re.search(r"model name\s*: (.+)", text)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB"


def _ratios(result: Result) -> list[list[str]]:
    return [
        [outcome.goal.label, outcome.value, outcome.spread, outcome.goal.text, outcome.verdict]
        for outcome in result.outcomes
    ]


def _numbers(name: str, runs: Sequence[Run]) -> list[str]:
    def median_of(values: Iterable[float], output_format: str = "{:,.0f}") -> str:
        return output_format.format(median(values))

    events = [run.events for run in runs]
    return [
        name,
        median_of(events),
        median_of(run.pages for run in runs),
        median_of((run.usage.wall for run in runs), "{:.2f}"),
        median_of((run.usage.cpu for run in runs), "{:.2f}"),
        median_of((run.usage.cpu / run.events * 1e6 for run in runs), "{:.1f}")
        if all(events)
        else "",
        median_of(run.usage.peak / 1e6 for run in runs),
        median_of(run.sent / 1e6 for run in runs),
        median_of(run.throttled for run in runs),
        median_of((run.server_cpu for run in runs), "{:.2f}"),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
