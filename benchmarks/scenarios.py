"""The scenarios, one row each: takes, rounds, and the bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from benchmarks import figures
from benchmarks.account_process import Conditions, Seed
from benchmarks.figures import Bar, each, growth, over, share_of_rate
from benchmarks.measuring import Take
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
NOTHING = "tap-klaviyo, nothing new"
SMALL, MIDDLE, LARGE = "10,000 events", "200,000 events", "2,000,000 events"
QUICK = 20
"""By how much a quick run divides the events."""

FEWEST = 2000
PART = ("click",)
"""The stream that singer-io's tap reads where all 18 would take it hours."""

PER_1000 = "{:.1f} ms"
TIMES = "{:.0f} ×"
PERCENT = "{:.0f} %"


@dataclass(frozen=True)
class Scenario:
    """Takes that are run in turn, ``rounds`` times, and the bars for what comes out."""

    name: str
    title: str
    takes: Sequence[Take]
    rounds: int
    bars: Sequence[Bar]
    note: str = ""

    def quick(self, divisor: int = QUICK) -> Scenario:
        """The same with few events and one round: it shows that all works, and no more."""
        takes = [
            replace(take, seed=replace(take.seed, events=max(FEWEST, take.seed.events // divisor)))
            for take in self.takes
        ]
        return replace(self, takes=takes, rounds=1)


_TAME = Seed(200_000, tame=True)
_LARGE = Seed(2_000_000)
_FAR = Conditions(latency=0.3, latency_per_record=0.0002, limits=1.0)
_QUARTER = replace(_FAR, limits=0.25)
_NEAR = Conditions(latency=0.1, limits=1.0)
_NARROW = ("profile", "metric")

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "start",
        "Start-up",
        [
            Take(IMPORTS, Seed(FEWEST)),
            Take(VERSION, Seed(FEWEST)),
            Take(DISCOVER, Seed(FEWEST)),
            Take(
                THE_TAP,
                Seed(FEWEST),
                streams=("mark_as_spam",),
                span=timedelta(seconds=20),
                label=NOTHING,
            ),
        ],
        15,
        [
            Bar(
                f"`{side.name}` over importing singer and requests",
                over(figures.wall, side.name, IMPORTS.name),
                most=1.5,
            )
            for side in (VERSION, DISCOVER)
        ]
        + [
            Bar(
                "a sync with nothing new over the same imports",
                over(figures.wall, NOTHING, IMPORTS.name),
                most=1.5,
            )
        ],
        "Wall time. The sync is of one stream and makes two requests.",
    ),
    Scenario(
        "cpu",
        "Processor time, all fields, profile and metric embedded",
        [Take(THE_TAP, _TAME), Take(FLOOR, _TAME), Take(SINGER_IO, _TAME, streams=PART)],
        5,
        [
            Bar(
                "CPU for 1,000 events over the floor",
                over(figures.cpu_per_event, TAP, FLOOR.name),
                most=2.5,
            ),
            Bar(
                "singer-io's tap over the tap",
                over(figures.cpu_per_event, SINGER_IO.name, TAP),
                TIMES,
                least=40,
            ),
            Bar("the tap's CPU over the sandbox's", each(figures.sandbox_ahead, TAP), least=3),
        ],
        "The floor fetches the very pages that the tap has fetched. singer-io's tap reads one "
        "stream of the account in pages of 200 events, the size it has always had; the tap's hold "
        "1,000.",
    ),
    Scenario(
        "narrow",
        "Processor time, profile and metric deselected",
        [Take(THE_TAP, _TAME, without=_NARROW), Take(FLOOR, _TAME)],
        5,
        [
            Bar(
                "CPU for 1,000 events over the floor",
                over(figures.cpu_per_event, TAP, FLOOR.name),
                most=2.5,
            )
        ],
    ),
    Scenario(
        "airbyte",
        "Beside Airbyte's source",
        [Take(THE_TAP, Seed(10_000, tame=True)), Take(AIRBYTE, Seed(10_000, tame=True))],
        3,
        [
            Bar(
                "its CPU for an event over the tap's",
                over(figures.cpu_per_event, AIRBYTE.name, TAP),
                TIMES,
            ),
            Bar(
                "its wall time for an event over the tap's",
                over(figures.wall_per_event, AIRBYTE.name, TAP),
                TIMES,
            ),
        ],
        "Airbyte's source reads the events of every metric in one stream, 200 a page, and includes "
        "the metric but not the profile. No latency, no limits.",
    ),
    Scenario(
        "backfill",
        "Backfill of 200,000 events in 18 streams: 300 ms a request, 0.2 ms an event, limits kept",
        [
            Take(THE_TAP, _TAME, _FAR),
            Take(SINGER_IO, _TAME, _FAR, streams=PART),
        ],
        3,
        [
            Bar(
                "faster than singer-io's tap",
                over(figures.wall_per_event, SINGER_IO.name, TAP),
                TIMES,
                least=60,
            )
        ],
        "singer-io's tap reads one of the 18 streams, which is scaled to all by the number of "
        "pages: it reads them one after the other, and each page takes as long as any other.",
    ),
    Scenario(
        "rate",
        "Rate limits at a quarter of Klaviyo's, 2,000,000 events, same latency",
        [Take(THE_TAP, _LARGE, _QUARTER, on_the_minute=True)],
        1,
        [
            Bar(
                "least time that the limits allow over the time taken",
                share_of_rate(TAP, 0.25),
                PERCENT,
                least=85,
            ),
            Bar("requests refused (429)", each(lambda run: run.throttled, TAP), "{:.0f}", most=5),
        ],
    ),
    Scenario(
        "throughput",
        "Klaviyo's own limits, 2,000,000 events, 100 ms a request",
        [Take(THE_TAP, _LARGE, _NEAR)],
        1,
        [
            Bar("events a second", each(figures.pace, TAP), "{:,.0f}"),
            Bar(
                "of the 58,333 that the limit of a minute means",
                each(lambda run: figures.pace(run) / 583.33, TAP),
                PERCENT,
            ),
            Bar(
                "processors in use by the tap",
                each(lambda run: run.usage.cpu / run.usage.wall, TAP),
                "{:.2f}",
            ),
        ],
    ),
    Scenario(
        "hourly",
        "Hourly run: 21 streams, 50 new events of each metric, 300 ms a request, limits kept",
        [
            Take(
                THE_TAP,
                Seed(50_000),
                Conditions(latency=0.3, limits=1.0),
                streams=tuple(stream.name for stream in DEFAULT_STREAMS),
                arriving=50,
            )
        ],
        5,
        [
            Bar(
                "wall time in round trips of 300 ms",
                each(lambda run: run.usage.wall / 0.3, TAP),
                "{:.1f}",
                most=8,
            )
        ],
    ),
    Scenario(
        "memory",
        "Memory and growth",
        [
            Take(
                THE_TAP,
                Seed(FEWEST),
                streams=("mark_as_spam",),
                span=timedelta(seconds=20),
                label=NOTHING,
            ),
            Take(THE_TAP, Seed(10_000), label=SMALL),
            Take(THE_TAP, Seed(200_000), label=MIDDLE),
            Take(THE_TAP, _LARGE, label=LARGE),
        ],
        2,
        [
            Bar(f"peak memory, {LARGE}", each(figures.peak, LARGE), "{:.0f} MB", most=200),
            Bar(f"peak memory, {LARGE} over {MIDDLE}", over(figures.peak, LARGE, MIDDLE), most=1.2),
            Bar(
                f"CPU for an event, {LARGE} over {SMALL}", growth(LARGE, SMALL, NOTHING), most=1.15
            ),
        ],
        "Growth is without what a sync with nothing new takes.",
    ),
    Scenario(
        "pipeline",
        "The whole pipeline into target-jsonl, 50,000 events",
        [Take(PIPELINE, Seed(50_000))],
        1,
        [
            Bar(
                "the tap's share of the processor time",
                each(figures.share_of_target, PIPELINE.name),
                "{:.1f} %",
            ),
        ],
    ),
)
