"""Runs the benchmarks: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.measuring import Accounts, Failed, Run
from benchmarks.results import Result, as_json, markdown, show
from benchmarks.scenarios import SCENARIOS, Scenario

RESULTS = Path(__file__).parent / "RESULTS.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the scenarios; returns 1 if one failed. A missed goal is not a failure."""
    options = _parser().parse_args(arguments)
    console, progress = Console(), Console(stderr=True)
    chosen = [one for one in SCENARIOS if one.name in options.scenarios or not options.scenarios]
    results = []
    with Accounts() as accounts:
        for scenario in chosen:
            results.append(
                run_scenario(accounts, scenario.quick() if options.quick else scenario, progress)
            )
    show(console, results)
    all_scenarios = not options.quick and not options.scenarios
    if options.output or all_scenarios:
        output = options.output or RESULTS
        output.write_text(markdown(results))
        output.with_name(f"{output.stem.lower()}.json").write_text(as_json(results))
    return int(any(result.fault for result in results))


def run_scenario(accounts: Accounts, scenario: Scenario, progress: Console) -> Result:
    """Runs the cases of one scenario whose programs are installed."""
    cases = [case for case in scenario.cases if case.program.installed]
    measured: dict[str, list[Run]] = defaultdict(list)
    progress.print(f"{scenario.name}: {scenario.title}", style="bold")
    try:
        for case, run in accounts.measure(cases, scenario.rounds):
            measured[case.name].append(run)
            usage = run.usage
            line = f"  {case.name}: {usage.wall:.2f} s, CPU {usage.cpu:.2f} s, {run.events} events"
            progress.print(line, highlight=False)
    except Failed as error:
        progress.print(str(error), style="red", highlight=False, markup=False)
        return Result(scenario, dict(measured), str(error))
    return Result(scenario, dict(measured))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Runs the benchmarks."
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help=f"scenarios to run (default: all): {', '.join(names)}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="run one round with few events, as a test"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="Markdown file for the results; a JSON file is written beside it",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
