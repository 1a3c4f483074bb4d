"""When events and suppressions happen in real accounts: clusters with nothing in between.

A shape of events takes the `end` of the account's time in Unix seconds and the number of events. It
returns Unix seconds by role, the key of a metric in `sandbox.seeding.metrics`. All times are
between `end` minus 90 days and `end`. The same arguments give the same times.
"""

import random
from collections.abc import Callable, Mapping
from typing import TypeAlias

Times: TypeAlias = dict[str, list[int]]

_DAY = 86_400
_YEAR = 365 * _DAY

_SALE_EVENTS_PER_SECOND, _SALE_PAUSE = 200, 10
_CAMPAIGNS, _CAMPAIGN_HALVES_EVERY = 3, 25

# A mixed account of 300,000 events: relative numbers of events by role.
_MIXED = {
    "receive": 96_000, "open": 62_000, "click": 32_000, "receive_sms": 17_000, "click_sms": 9000,
    "subscribe_list": 6000, "bounce": 3500, "consent_sms": 2500, "unsubscribe": 1800, "drop": 1200,
    "update_preferences": 900, "unsubscribe_sms": 600, "send_sms": 500, "fail_sms": 400,
    "unsubscribe_list": 300, "mark_as_spam": 200, "receive_automated_sms": 70,
    "fail_automated_sms": 30, "view_product": 41_000, "order": 15_000, "visit": 10_000,
}  # fmt: skip
_IN_ONE_SECOND = {"receive": 36_000}
_SHARE_OF_CLUSTERS = 0.9  # of the other events; the rest is spread evenly

_SUPPRESSION_YEARS = 6
_IN_THE_SAME_SECOND = 400
_CLEANUPS = 12  # days on which a list was cleaned
_SHARE_OF_CLEANUPS = 0.6


def flash_sale(end: int, events: int = 40_000) -> Times:
    """200 opens in each of many seconds, ten seconds apart."""
    start = end - 30 * _DAY
    return {
        "open": [
            start + _SALE_PAUSE * (number // _SALE_EVENTS_PER_SECOND) for number in range(events)
        ]
    }


def three_campaigns(end: int, events: int = 66_000) -> Times:
    """Opens of campaigns on three days: most at once, then half as many every 25 seconds."""
    times: list[int] = []
    decay = 0.5 ** (1 / _CAMPAIGN_HALVES_EVERY)
    for number in range(_CAMPAIGNS):
        start = end - (70 - 29 * number) * _DAY - 7211 * number
        rest = events // _CAMPAIGNS
        second = start
        while rest > 0:
            count = min(rest, max(1, round(rest * (1 - decay))))
            times += [second] * count
            rest -= count
            second += 1
    return {"open": times}


def one_second(end: int, events: int = 16_000) -> Times:
    """An import: all events in one second."""
    return {"open": [end - 45 * _DAY - 12_345] * events}


def mixed(end: int, events: int = 300_000) -> Times:
    """Many events of all roles, most of them in clusters; one second has an eighth of all."""
    rng = random.Random("mixed")
    scale = events / sum(_MIXED.values())
    start = end - 90 * _DAY
    times: Times = {}
    for role, weight in _MIXED.items():
        count = max(1, round(weight * scale))
        dense = min(count, round(_IN_ONE_SECOND.get(role, 0) * scale))
        spread = round((count - dense) * (1 - _SHARE_OF_CLUSTERS))
        times[role] = [end - 20 * _DAY - 777] * dense
        times[role] += [rng.randrange(start, end) for _ in range(spread)]
        times[role] += _decaying(rng, count - dense - spread, start, end)
    return times


def suppressions(end: int, profiles: int = 14_400) -> list[list[int]]:
    """The times of the suppressions of each suppressed profile, over six years.

    Most were suppressed on a few days. Several hundred were suppressed in the same second, one in
    twenty twice or three times: some of these in the same second, most months later.
    """
    rng = random.Random("suppressions")
    start = end - _SUPPRESSION_YEARS * _YEAR
    cleanups = [rng.randrange(start, end - _DAY) for _ in range(_CLEANUPS)]
    same_second = min(_IN_THE_SAME_SECOND, profiles // 3)
    times = [[cleanups[0]] for _ in range(same_second)]
    for number in range(profiles - same_second):
        if rng.random() < _SHARE_OF_CLEANUPS:
            first = rng.choice(cleanups) + int(rng.expovariate(1 / 600))
        else:
            first = rng.randrange(start, end)
        times.append([first, *_later(rng, number, first, end)])
    return [[min(second, end - 1) for second in seconds] for seconds in times]


SHAPES: Mapping[str, Callable[[int, int], Times]] = {
    shape.__name__: shape for shape in (flash_sale, three_campaigns, one_second, mixed)
}
"""The shapes of events by name."""


def _decaying(rng: random.Random, count: int, start: int, end: int) -> list[int]:
    """Times in up to ten clusters of unequal size and length, each of which decays."""
    clusters = rng.randint(3, 10)
    starts = [rng.randrange(start, end - _DAY) for _ in range(clusters)]
    means = [rng.choice((10, 60, 600, 7200)) for _ in range(clusters)]
    weights = [rng.uniform(0.1, 1) for _ in range(clusters)]
    chosen = rng.choices(range(clusters), weights, k=count)
    return [min(end - 1, starts[at] + int(rng.expovariate(1 / means[at]))) for at in chosen]


def _later(rng: random.Random, number: int, first: int, end: int) -> list[int]:
    """The later suppressions of a profile: mostly none."""
    repeated = {1: 1, 25: 2}.get(number % 40, 0)
    if number % 160 == 1:
        return [first]
    return [rng.randrange(first, end) for _ in range(repeated)]
