"""Measure: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.measuring import Failed, Run, Theatre
from benchmarks.results import Result, markdown, show
from benchmarks.scenarios import SCENARIOS, Scenario

RESULTS = Path(__file__).parent / "RESULTS.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the scenarios; 1 if one could not be run to its end, missed bars are no failure."""
    options = _parser().parse_args(arguments)
    console, progress = Console(), Console(stderr=True)
    chosen = [one for one in SCENARIOS if one.name in options.scenarios or not options.scenarios]
    results = []
    with Theatre() as theatre:
        for scenario in chosen:
            results.append(play(theatre, scenario.quick() if options.quick else scenario, progress))
    show(console, results)
    whole = not options.quick and not options.scenarios
    if options.output or whole:
        (options.output or RESULTS).write_text(markdown(results))
    return int(any(result.fault for result in results))


def play(theatre: Theatre, scenario: Scenario, progress: Console) -> Result:
    """Measures one scenario, of what is installed."""
    takes = [take for take in scenario.takes if take.side.installed]
    measured: dict[str, list[Run]] = defaultdict(list)
    progress.print(f"{scenario.name}: {scenario.title}", style="bold")
    try:
        for take, run in theatre.measure(takes, scenario.rounds):
            measured[take.name].append(run)
            usage = run.usage
            line = f"  {take.name}: {usage.wall:.2f} s, CPU {usage.cpu:.2f} s, {run.events} events"
            progress.print(line, highlight=False)
    except Failed as fault:
        progress.print(str(fault), style="red", highlight=False, markup=False)
        return Result(scenario, dict(measured), str(fault))
    return Result(scenario, dict(measured))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"any of {names}; or all")
    parser.add_argument("--quick", action="store_true", help="few events, to see that all works")
    parser.add_argument("--output", type=Path, help="where to write the results, as Markdown")
    return parser


if __name__ == "__main__":
    sys.exit(main())
