"""The scenarios: their cases, rounds and goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from benchmarks import figures
from benchmarks.account_process import Conditions, Seed
from benchmarks.figures import Goal, each, growth, over, share_of_rate
from benchmarks.measuring import Case
from benchmarks.programs import (
    AIRBYTE,
    DISCOVER,
    FLOOR,
    IMPORTS,
    PIPELINE,
    SINGER_IO,
    THE_TAP,
    VERSION,
)
from tap_klaviyo.streams import DEFAULT_STREAMS

TAP = THE_TAP.name
NO_NEW_EVENTS = "tap-klaviyo, no new data"
SMALL, MIDDLE, LARGE = "10,000 events", "200,000 events", "2,000,000 events"
QUICK_DIVISOR = 20
"""A quick run divides the number of events by this."""

MIN_EVENTS = 2000
ONE_STREAM = ("click",)
"""The stream that singer-io's tap reads, because all 18 would take it hours."""

TIMES = "{:.0f} ×"
PERCENT = "{:.0f} %"


@dataclass(frozen=True)
class Scenario:
    """Cases that run alternately for ``rounds`` rounds, and the goals for the results."""

    name: str
    title: str
    cases: Sequence[Case]
    rounds: int
    goals: Sequence[Goal]
    note: str = ""

    def quick(self, divisor: int = QUICK_DIVISOR) -> Scenario:
        """The same scenario with few events and one round, as a test that it works."""
        cases = [replace(case, seed=case.seed.divided(divisor, MIN_EVENTS)) for case in self.cases]
        return replace(self, cases=cases, rounds=1)


_TAME = Seed(200_000, tame=True)
_LARGE = Seed(2_000_000)
_FAR = Conditions(latency=0.3, latency_per_record=0.0002, limits=1.0)
_QUARTER = replace(_FAR, limits=0.25)
_NEAR = Conditions(latency=0.1, limits=1.0)
_PAIRED = Seed(60_000, tame=True)
_FEW_SUPPRESSED = Seed(MIN_EVENTS, suppressed=2400)
_MANY_SUPPRESSED = Seed(MIN_EVENTS, suppressed=14_400)
_MEMBERS = ("list_members",)
_LISTS = Seed(MIN_EVENTS, lists=700)
_INCREMENTAL_MEMBERS = Case(
    THE_TAP, _LISTS, streams=_MEMBERS, incremental=_MEMBERS, span=timedelta(days=400)
)
_NARROW = ("profile", "metric")
_UNLIMITED = replace(_FAR, limits=None)
_SHAPED = "300 ms per request, 0.2 ms per record"
_EXCLUSIONS = ("global_exclusions",)
FEW_PROFILES, MANY_PROFILES = "2,400 profiles", "14,400 profiles"
FULL_TABLE, INCREMENTAL, NEXT_RUN = "FULL_TABLE", "INCREMENTAL", "INCREMENTAL, next run"


def _bounded(
    name: str, title: str, case: Case, maximum: float, rounds: int = 3, note: str = ""
) -> Scenario:
    """A scenario of the tap alone, whose goal is a multiple of the least possible time."""
    goals = [
        Goal(
            "wall time, relative to the least possible",
            each(figures.wall_over_bound, TAP),
            maximum=maximum,
        ),
        Goal("least possible wall time", each(lambda run: run.bound, TAP), "{:.1f} s"),
    ]
    if case.conditions.limits is not None:
        goals.append(_FEW_REFUSED)
    return Scenario(name, title, [case], rounds, goals, note)


_FEW_REFUSED = Goal(
    "requests refused (429)", each(lambda run: run.throttled, TAP), "{:.0f}", maximum=5
)

CLUSTERED: tuple[Scenario, ...] = (
    _bounded(
        "sale",
        f"Flash sale: 200 seconds of 200 events each, ten seconds apart; {_SHAPED}",
        Case(THE_TAP, Seed(40_000, tame=True, shape="flash_sale"), _UNLIMITED),
        2.5,
    ),
    _bounded(
        "campaigns",
        "Three campaigns: 600 events in the first second, half as many every 25 s; same latency",
        Case(THE_TAP, Seed(66_000, tame=True, shape="three_campaigns"), _UNLIMITED),
        2.5,
    ),
    _bounded(
        "second",
        "Import: one second of 16,000 events; same latency",
        Case(THE_TAP, Seed(16_000, tame=True, shape="one_second"), _UNLIMITED),
        1.3,
        1,
    ),
    _bounded(
        "mixed",
        "300,000 events, 234,000 of them in the 18 streams, 36,000 in one second; same latency, "
        "rate limits",
        Case(THE_TAP, Seed(300_000, tame=True, shape="mixed"), _FAR),
        1.3,
        2,
    ),
    _bounded(
        "exclusions",
        "`global_exclusions`, 14,400 suppressed profiles, same latency, rate limits, sorted by the "
        "newest suppression",
        Case(THE_TAP, _MANY_SUPPRESSED, _FAR, streams=_EXCLUSIONS),
        2,
    ),
    _bounded(
        "exclusions_by_oldest",
        "The same, sorted by the oldest suppression",
        Case(THE_TAP, replace(_MANY_SUPPRESSED, entry_sort="oldest"), _FAR, streams=_EXCLUSIONS),
        4,
        note="Klaviyo does not say by which of several suppressions it sorts.",
    ),
)
"""Backfills of clustered data, compared with the least time in which they can be read."""

SCENARIOS: tuple[Scenario, ...] = (
    *CLUSTERED,
    Scenario(
        "start",
        "Start-up",
        [
            Case(IMPORTS, Seed(MIN_EVENTS)),
            Case(VERSION, Seed(MIN_EVENTS)),
            Case(DISCOVER, Seed(MIN_EVENTS)),
            Case(
                THE_TAP,
                Seed(MIN_EVENTS),
                streams=("mark_as_spam",),
                span=timedelta(seconds=20),
                label=NO_NEW_EVENTS,
            ),
        ],
        15,
        [
            Goal(
                f"`{program.name}`, relative to importing singer and requests",
                over(figures.wall, program.name, IMPORTS.name),
                maximum=1.5,
            )
            for program in (VERSION, DISCOVER)
        ]
        + [
            Goal(
                "a sync without new data, relative to the same imports",
                over(figures.wall, NO_NEW_EVENTS, IMPORTS.name),
                maximum=1.5,
            )
        ],
        "Wall time. The sync reads one stream with two requests.",
    ),
    Scenario(
        "cpu",
        "Processor time, all fields, profile and metric embedded",
        [Case(THE_TAP, _TAME), Case(FLOOR, _TAME), Case(SINGER_IO, _TAME, streams=ONE_STREAM)],
        3,
        [
            Goal(
                "CPU per event, relative to the floor",
                over(figures.cpu_per_event, TAP, FLOOR.name),
                maximum=2.5,
            ),
            Goal(
                "CPU per event of singer-io's tap, relative to the tap",
                over(figures.cpu_per_event, SINGER_IO.name, TAP),
                TIMES,
                minimum=40,
            ),
            Goal(
                "CPU of the tap, relative to the sandbox",
                each(figures.cpu_over_sandbox, TAP),
                minimum=3,
            ),
        ],
        "The floor requests the same pages as the tap. singer-io's tap reads one stream of the "
        "account in pages of 200 events, a fixed size; the tap reads pages of 1,000.",
    ),
    Scenario(
        "floor",
        "Processor time of 60,000 events, in pairs",
        [Case(THE_TAP, _PAIRED), Case(FLOOR, _PAIRED)],
        15,
        [
            Goal(
                "CPU per event, relative to the floor",
                over(figures.cpu_per_event, TAP, FLOOR.name),
                maximum=1.8,
            ),
        ],
        "The tap runs just before the floor in each round, so that a machine whose speed varies "
        "changes both.",
    ),
    Scenario(
        "profiles",
        "Processor time of `global_exclusions`",
        [
            Case(THE_TAP, _FEW_SUPPRESSED, streams=_EXCLUSIONS, label=FEW_PROFILES),
            Case(THE_TAP, _MANY_SUPPRESSED, streams=_EXCLUSIONS, label=MANY_PROFILES),
        ],
        5,
        [
            Goal(
                "CPU per page of 100 profiles",
                figures.cpu_per_page(MANY_PROFILES, FEW_PROFILES),
                "{:.1f} ms",
                maximum=8,
            )
        ],
        "The difference of the two runs, divided by the difference of their requests.",
    ),
    Scenario(
        "members",
        "Processor time of `list_members`, 700 lists",
        [
            Case(THE_TAP, _LISTS, streams=_MEMBERS, label=FULL_TABLE),
            replace(_INCREMENTAL_MEMBERS, label=INCREMENTAL),
            replace(_INCREMENTAL_MEMBERS, label=NEXT_RUN, continues=True),
        ],
        1,
        [
            Goal(
                f"CPU of {name}, relative to {FULL_TABLE}",
                over(figures.cpu, name, FULL_TABLE),
                maximum=1.5,
            )
            for name in (INCREMENTAL, NEXT_RUN)
        ],
        "No latency. The tap makes at most 750 of these requests a minute. The next run continues "
        "from the state of a run before.",
    ),
    Scenario(
        "narrow",
        "Processor time, profile and metric deselected",
        [Case(THE_TAP, _TAME, without=_NARROW), Case(FLOOR, _TAME)],
        5,
        [
            Goal(
                "CPU per event, relative to the floor",
                over(figures.cpu_per_event, TAP, FLOOR.name),
                maximum=2.5,
            )
        ],
    ),
    Scenario(
        "airbyte",
        "Comparison with Airbyte's source",
        [Case(THE_TAP, Seed(10_000, tame=True)), Case(AIRBYTE, Seed(10_000, tame=True))],
        3,
        [
            Goal(
                "CPU per event of Airbyte's source, relative to the tap",
                over(figures.cpu_per_event, AIRBYTE.name, TAP),
                TIMES,
            ),
            Goal(
                "wall time per event of Airbyte's source, relative to the tap",
                over(figures.wall_per_event, AIRBYTE.name, TAP),
                TIMES,
            ),
        ],
        "Airbyte's source reads the events of all metrics in one stream, 200 per page, and "
        "includes the metric but not the profile. No latency, no rate limits.",
    ),
    Scenario(
        "backfill",
        "Backfill of 200,000 events in 18 streams: 300 ms per request, 0.2 ms per event, limits",
        [
            Case(THE_TAP, _TAME, _FAR),
            Case(SINGER_IO, _TAME, _FAR, streams=ONE_STREAM),
        ],
        2,
        [
            Goal(
                "wall time per event of singer-io's tap, relative to the tap",
                over(figures.wall_per_event, SINGER_IO.name, TAP),
                TIMES,
                minimum=60,
            )
        ],
        "singer-io's tap reads one of the 18 streams. Its time is given per event, because it "
        "reads all streams one after the other and each page takes the same time.",
    ),
    Scenario(
        "rate",
        "A quarter of Klaviyo's rate limits, 2,000,000 events, same latency",
        [Case(THE_TAP, _LARGE, _QUARTER, start_on_minute=True)],
        1,
        [
            Goal(
                "minimum time that the rate limits allow, relative to the wall time",
                share_of_rate(TAP, 0.25),
                PERCENT,
                minimum=85,
            ),
            _FEW_REFUSED,
        ],
    ),
    Scenario(
        "throughput",
        "Klaviyo's rate limits, 2,000,000 events, 100 ms per request",
        [Case(THE_TAP, _LARGE, _NEAR)],
        1,
        [
            Goal("events per second", each(figures.events_per_second, TAP), "{:,.0f}"),
            Goal(
                "share of the 58,333 events per second that the rate limit allows",
                each(lambda run: figures.events_per_second(run) / 583.33, TAP),
                PERCENT,
            ),
            Goal(
                "processors used by the tap",
                each(lambda run: run.usage.cpu / run.usage.wall, TAP),
                "{:.2f}",
            ),
        ],
    ),
    Scenario(
        "hourly",
        "Hourly run of 21 streams, 50 new events per metric, 300 ms per request, rate limits",
        [
            Case(
                THE_TAP,
                Seed(50_000),
                Conditions(latency=0.3, limits=1.0),
                streams=tuple(stream.name for stream in DEFAULT_STREAMS),
                new_events=50,
            )
        ],
        5,
        [
            Goal(
                "wall time in round trips of 300 ms",
                each(lambda run: run.usage.wall / 0.3, TAP),
                "{:.1f}",
                maximum=8,
            ),
            Goal(
                "longest chain of dependent requests",
                each(lambda run: run.chain, TAP),
                "{:.0f}",
                maximum=5,
            ),
        ],
        "The chain is the longest sequence of requests in which each arrived after the answer "
        "before it, as the sandbox saw it.",
    ),
    Scenario(
        "memory",
        "Memory and growth",
        [
            Case(
                THE_TAP,
                Seed(MIN_EVENTS),
                streams=("mark_as_spam",),
                span=timedelta(seconds=20),
                label=NO_NEW_EVENTS,
            ),
            Case(THE_TAP, Seed(10_000), label=SMALL),
            Case(THE_TAP, Seed(200_000), label=MIDDLE),
            Case(THE_TAP, _LARGE, label=LARGE),
        ],
        2,
        [
            Goal(f"peak memory, {LARGE}", each(figures.peak, LARGE), "{:.0f} MB", maximum=200),
            Goal(
                f"peak memory, {LARGE}, relative to {MIDDLE}",
                over(figures.peak, LARGE, MIDDLE),
                maximum=1.2,
            ),
            Goal(
                f"CPU per event, {LARGE}, relative to {SMALL}",
                growth(LARGE, SMALL, NO_NEW_EVENTS),
                maximum=1.15,
            ),
        ],
        "CPU per event excludes the CPU of a sync without new data.",
    ),
    Scenario(
        "pipeline",
        "Pipeline into target-jsonl, 50,000 events",
        [Case(PIPELINE, Seed(50_000))],
        1,
        [
            Goal(
                "the tap's share of the processor time",
                each(figures.share_of_target, PIPELINE.name),
                "{:.1f} %",
            ),
        ],
    ),
)
