"""The benchmarks: what they make of measurements, and that they measure nothing that is wrong."""

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
from benchmarks.__main__ import play
from benchmarks.account_process import FORMS, Seed
from benchmarks.figures import Bar, hold
from benchmarks.measuring import Failed, Run, Take, Theatre, Usage
from benchmarks.programs import FLOOR, THE_TAP, Side
from benchmarks.results import Result, markdown, show
from benchmarks.scenarios import SCENARIOS, Scenario

SEED = Seed(2000, tame=True)
STRANGE = json.dumps({"type": "RECORD", "stream": "open", "record": {"id": "no such id"}})


def run_of(wall: float = 1.0, cpu: float = 1.0, events: int = 1000, pages: int = 1) -> Run:
    """A run as it might have been measured."""
    usage = Usage(wall=wall, cpu=cpu, peak=50_000_000)
    return Run(usage, 3.0, 0.5, events, again=0, pages=pages, throttled=0, sent=1000)


def program(code: str) -> Side:
    """A program of Python that is not the tap."""
    return Side("not the tap", lambda _: [[sys.executable, "-c", code]])


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    """A theatre with one small account, made once."""
    with Theatre() as theatre:
        yield theatre


@pytest.fixture
def quiet() -> Console:
    """A console that nobody sees."""
    return Console(file=io.StringIO(), width=100)


def test_a_scenario_from_end_to_end(theatre: Theatre, quiet: Console) -> None:
    """The tap and the floor fetch the same pages, and each bar comes out with a value."""
    whole = next(scenario for scenario in SCENARIOS if scenario.name == "narrow")
    takes = [replace(take, seed=SEED) for take in whole.takes]
    result = play(theatre, replace(whole, takes=takes, rounds=1), quiet)
    assert not result.fault
    (tap,), (floor,) = (result.measured[side.name] for side in (THE_TAP, FLOOR))
    assert tap.pages == floor.pages > 0
    assert tap.events == floor.events > 1900
    assert all(outcome.values for outcome in result.outcomes)
    text = markdown([result])
    assert all(bar.what in text for bar in whole.bars)
    show(quiet, [result])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("pass", "missing=19"),
        (f"print('{STRANGE}')", "strange=1"),
        ("raise SystemExit('no luck')", "no luck"),
    ],
    ids=["writes nothing", "invents an event", "fails"],
)
def test_a_run_that_proves_nothing(theatre: Theatre, code: str, said: str) -> None:
    """A program that does not write what the account holds, or fails, is not measured."""
    with pytest.raises(Failed, match=said):
        list(theatre.measure([Take(program(code), SEED)], rounds=1))


def test_a_fault_ends_its_scenario_only(theatre: Theatre, quiet: Console) -> None:
    """A scenario that fails says why, and its bars are not measured."""
    side = program("raise SystemExit('no luck')")
    bar = Bar("a bar", figures.each(figures.wall, side.name), most=1)
    result = play(theatre, Scenario("s", "A scenario", [Take(side, SEED)], 1, [bar]), quiet)
    assert "no luck" in result.fault
    assert [outcome.value for outcome in result.outcomes] == ["not measured"]
    assert "no luck" in markdown([result])


def test_what_is_not_installed_is_left_out(theatre: Theatre, quiet: Console) -> None:
    """A peer without its environment is not run."""
    side = replace(program("raise SystemExit(1)"), environment="no-such-environment")
    result = play(theatre, Scenario("s", "A scenario", [Take(side, SEED)], 1, []), quiet)
    assert result == Result(result.scenario, {})


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_bars_speak_of_takes_that_exist(scenario: Scenario) -> None:
    """Each bar has a value when all takes of its scenario have been measured."""
    measured = {
        take.name: [run_of(cpu=cost), run_of(cpu=cost)]
        for cost, take in enumerate(scenario.takes, start=1)
    }
    for bar in scenario.bars:
        assert len(hold(bar, measured).values) == 2
    assert len(measured) == len(scenario.takes)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_quick_run_is_small(scenario: Scenario) -> None:
    """It has one round of at most a twentieth of the largest account."""
    quick = scenario.quick()
    assert quick.rounds == 1
    assert max(take.seed.events for take in quick.takes) <= 100_000
    assert [take.name for take in quick.takes] == [take.name for take in scenario.takes]


@pytest.mark.parametrize(
    ("figure", "values"),
    [
        (figures.each(figures.pace, "one"), [500, 1000]),
        (figures.over(figures.wall, "one", "two"), [2, 0.5]),
        (figures.over(figures.wall_per_event, "one", "two"), [4, 1]),
        (figures.growth("one", "two", "nothing"), [2, 2]),
        (figures.each(figures.share_of_target, "one"), [40, 25]),
        (figures.each(figures.sandbox_ahead, "one"), [4, 2]),
    ],
    ids=["pace", "ratio", "ratio per event", "growth", "share of a pipeline", "sandbox ahead"],
)
def test_figures_are_made_round_by_round(figure: figures.Figure, values: list[float]) -> None:
    """What is compared has run in the same round."""
    measured = {
        "one": [run_of(wall=2, cpu=2), run_of(wall=1, cpu=1)],
        "two": [run_of(wall=1, cpu=2, events=2000), run_of(wall=2, cpu=1, events=2000)],
        "nothing": [run_of(cpu=0)],
    }
    assert figure(measured) == pytest.approx(values)


@pytest.mark.parametrize(
    ("pages", "seconds"),
    [(1, 0), (87, 0), (88, 1), (875, 10), (876, 60), (2000, 122)],
)
def test_the_least_time_for_pages(pages: int, seconds: float) -> None:
    """A quarter of Klaviyo's limits lets 87 pages of a second and 875 of a minute pass."""
    (share,) = figures.share_of_rate("one", 0.25)({"one": [run_of(wall=100, pages=pages)]})
    assert share == pytest.approx(seconds)


AT_MOST = Bar("a bar", figures.each(figures.wall, "one"), most=2.5)
AT_LEAST = Bar("a bar", figures.each(figures.wall, "one"), least=40)
NO_BAR = Bar("a bar", figures.each(figures.wall, "one"))


@pytest.mark.parametrize(
    ("bar", "values", "verdict"),
    [
        (AT_MOST, [2.4, 2.5, 9.0], "met"),
        (AT_MOST, [2.4, 2.6, 2.6], "missed"),
        (AT_LEAST, [41.0], "met"),
        (AT_LEAST, [39.0], "missed"),
        (AT_LEAST, [], ""),
        (NO_BAR, [1.0], ""),
    ],
)
def test_verdicts(bar: Bar, values: list[float], verdict: str) -> None:
    """The median decides; without a bar or a value there is no verdict."""
    assert hold(bar, {"one": [run_of(wall=value) for value in values]}).verdict == verdict


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("singer", STRANGE + '\n{"type":"STATE","value":{}}\n'),
        ("airbyte", '{"type":"LOG"}\n{"type":"RECORD","record":{"data":{"id":"no such id"}}}\n'),
        ("bodies", '{"data":[{"type":"event","id":"no such id"}],"links":{}}\n{"data":[]}\n'),
        ("rows", '{"id":"no such id"}\n'),
    ],
)
def test_ids_are_found_in_every_form(form: str, text: str, tmp_path: Path) -> None:
    """Whatever a program writes, its ids can be read."""
    (tmp_path / "open.jsonl").write_text(text)
    assert list(FORMS[form](tmp_path / "open.jsonl")) == ["no such id"]
