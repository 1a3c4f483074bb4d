"""The benchmarks: figures, goals, and checks of each run."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import figures
from benchmarks.__main__ import run_scenario
from benchmarks.account_process import Seed
from benchmarks.figures import Goal, evaluate
from benchmarks.measuring import Accounts, Case, Failed, Run, Usage
from benchmarks.output_ids import OUTPUT_FORMATS
from benchmarks.programs import FLOOR, THE_TAP, Program
from benchmarks.results import Result, as_json, markdown, show
from benchmarks.scenarios import SCENARIOS, Scenario

SEED = Seed(2000, tame=True)
UNEXPECTED = json.dumps({"type": "RECORD", "stream": "open", "record": {"id": "no such id"}})


def run_of(
    wall: float = 1.0, cpu: float = 1.0, events: int = 1000, pages: int = 1, answers: int = 1
) -> Run:
    """A run with given measurements."""
    usage = Usage(wall=wall, cpu=cpu, peak=50_000_000)
    return Run(
        usage, 3.0, 0.5, events, 0, pages, throttled=0, sent=1000, answers=answers, bound=0.5
    )


def python_program(code: str) -> Program:
    """A Python program in place of the tap."""
    return Program("not the tap", lambda _: [[sys.executable, "-c", code]])


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    """The accounts, shared by the tests of this module."""
    with Accounts() as accounts:
        yield accounts


@pytest.fixture
def console() -> Console:
    """A console that writes to memory."""
    return Console(file=io.StringIO(), width=100)


def test_a_scenario_from_end_to_end(accounts: Accounts, console: Console) -> None:
    """The tap and the floor request the same pages, and each goal has a value."""
    narrow = next(scenario for scenario in SCENARIOS if scenario.name == "narrow")
    cases = [replace(case, seed=SEED) for case in narrow.cases]
    result = run_scenario(accounts, replace(narrow, cases=cases, rounds=1), console)
    assert not result.fault
    (tap,), (floor,) = (result.measured[program.name] for program in (THE_TAP, FLOOR))
    assert tap.pages == floor.pages > 0
    assert tap.events == floor.events > 1900
    assert all(outcome.values for outcome in result.outcomes)
    text = markdown([result])
    assert all(goal.label in text for goal in narrow.goals)
    show(console, [result])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("pass", "missing=19"),
        (f"print('{UNEXPECTED}')", "unexpected=1"),
        ("raise SystemExit('no luck')", "no luck"),
    ],
    ids=["writes nothing", "invents an event", "fails"],
)
def test_a_run_with_wrong_output(accounts: Accounts, code: str, expected: str) -> None:
    """A program that fails or does not write the ids of the account is not measured."""
    with pytest.raises(Failed, match=expected):
        list(accounts.measure([Case(python_program(code), SEED)], rounds=1))


def test_a_failure_ends_its_scenario_only(accounts: Accounts, console: Console) -> None:
    """A failed scenario has its error, and its goals are not measured."""
    program = python_program("raise SystemExit('no luck')")
    goal = Goal("a goal", figures.each(figures.wall, program.name), maximum=1)
    result = run_scenario(
        accounts, Scenario("s", "A scenario", [Case(program, SEED)], 1, [goal]), console
    )
    assert "no luck" in result.fault
    assert [outcome.value for outcome in result.outcomes] == ["not measured"]
    assert "no luck" in markdown([result])


def test_a_missing_program_is_skipped(accounts: Accounts, console: Console) -> None:
    """A program without its environment is not run."""
    program = replace(python_program("raise SystemExit(1)"), environment="no-such-environment")
    result = run_scenario(
        accounts, Scenario("s", "A scenario", [Case(program, SEED)], 1, []), console
    )
    assert result == Result(result.scenario, {})


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_goals_refer_to_existing_cases(scenario: Scenario) -> None:
    """Each goal has a value when all cases of its scenario were measured."""
    measured = {
        case.name: [run_of(cpu=cost, answers=cost)] * 2
        for cost, case in enumerate(scenario.cases, start=1)
    }
    for goal in scenario.goals:
        assert len(evaluate(goal, measured).values) == 2
    assert len(measured) == len(scenario.cases)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_quick_run_is_small(scenario: Scenario) -> None:
    """A quick run has one round with at most a twentieth of the largest account."""
    quick = scenario.quick()
    assert quick.rounds == 1
    assert max(case.seed.events for case in quick.cases) <= 100_000
    assert [case.name for case in quick.cases] == [case.name for case in scenario.cases]


@pytest.mark.parametrize(
    ("figure", "values"),
    [
        (figures.each(figures.events_per_second, "one"), [500, 1000]),
        (figures.over(figures.wall, "one", "two"), [2, 0.5]),
        (figures.over(figures.wall_per_event, "one", "two"), [4, 1]),
        (figures.growth("one", "two", "nothing"), [2, 2]),
        (figures.each(figures.share_of_target, "one"), [40, 25]),
        (figures.each(figures.cpu_over_sandbox, "one"), [4, 2]),
        (figures.each(figures.wall_over_bound, "one"), [4, 2]),
        (figures.cpu_per_page("one", "nothing"), [200]),
    ],
    ids=[
        "events per second",
        "ratio",
        "ratio per event",
        "growth",
        "share of a pipeline",
        "CPU over sandbox",
        "wall time over the bound",
        "CPU per page",
    ],
)
def test_figures_compare_runs_of_the_same_round(
    figure: figures.Figure, values: list[float]
) -> None:
    """Figures compare runs of the same round."""
    measured = {
        "one": [run_of(wall=2, cpu=2, answers=11), run_of(wall=1, cpu=1, answers=11)],
        "two": [run_of(wall=1, cpu=2, events=2000), run_of(wall=2, cpu=1, events=2000)],
        "nothing": [run_of(cpu=0)],
    }
    assert figure(measured) == pytest.approx(values)


@pytest.mark.parametrize(
    ("pages", "seconds"),
    [(1, 0), (87, 0), (88, 1), (875, 10), (876, 60), (2000, 122)],
)
def test_the_minimum_time_for_pages(pages: int, seconds: float) -> None:
    """A quarter of Klaviyo's limits allows 87 pages per second and 875 per minute."""
    (share,) = figures.share_of_rate("one", 0.25)({"one": [run_of(wall=100, pages=pages)]})
    assert share == pytest.approx(seconds)


def test_results_as_json() -> None:
    """Each goal that was measured has its median, range and verdict; others are left out."""
    goals = [AT_MOST, replace(AT_MOST, label="not run", figure=figures.each(figures.wall, "two"))]
    scenario = Scenario("s", "A scenario", [], 3, goals)
    runs = [run_of(wall=wall) for wall in (1, 2, 4)]
    found = json.loads(as_json([Result(scenario, {"one": runs})]))["scenarios"]
    goal = {"median": 2, "lowest": 1, "highest": 4, "goal": "at most 2.50 ×", "verdict": "met"}
    assert found == {"s": {"a goal": goal}}


AT_MOST = Goal("a goal", figures.each(figures.wall, "one"), maximum=2.5)
AT_LEAST = Goal("a goal", figures.each(figures.wall, "one"), minimum=40)
NO_GOAL = Goal("a goal", figures.each(figures.wall, "one"))


@pytest.mark.parametrize(
    ("goal", "values", "verdict"),
    [
        (AT_MOST, [2.4, 2.5, 9.0], "met"),
        (AT_MOST, [2.4, 2.6, 2.6], "missed"),
        (AT_LEAST, [41.0], "met"),
        (AT_LEAST, [39.0], "missed"),
        (AT_LEAST, [], ""),
        (NO_GOAL, [1.0], ""),
    ],
)
def test_verdicts(goal: Goal, values: list[float], verdict: str) -> None:
    """The median decides; without a goal or a value there is no verdict."""
    assert evaluate(goal, {"one": [run_of(wall=value) for value in values]}).verdict == verdict


@pytest.mark.parametrize(
    ("output_format", "text"),
    [
        ("singer", UNEXPECTED + '\n{"type":"STATE","value":{}}\n'),
        ("airbyte", '{"type":"LOG"}\n{"type":"RECORD","record":{"data":{"id":"no such id"}}}\n'),
        ("bodies", '{"data":[{"type":"event","id":"no such id"}],"links":{}}\n{"data":[]}\n'),
        ("rows", '{"id":"no such id"}\n'),
    ],
)
def test_ids_are_found_in_every_form(output_format: str, text: str, tmp_path: Path) -> None:
    """The ids can be read in every output format."""
    (tmp_path / "open.jsonl").write_text(text)
    assert list(OUTPUT_FORMATS[output_format](tmp_path / "open.jsonl")) == ["no such id"]
