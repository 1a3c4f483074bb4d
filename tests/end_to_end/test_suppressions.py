"""Suppressed profiles are read side by side, whichever suppression Klaviyo sorts by."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from sync_runner import NOW, Tap, catalog_of

from sandbox.account import Account
from sandbox.resources import Collection, EntrySort, Resource

DAY = 86_400
TapOn = Callable[..., Tap]


def suppressed_account(seed: int, profiles: int) -> Account:
    """An account in which most profiles are suppressed, many of them several times.

    Their dates are spread over years, cluster in seconds, and some are of the future; some profiles
    have no email.
    """
    draw = random.Random(seed)
    shop = Account.seeded(seed=seed, events=10, now=None)
    known = list(shop.collections["profile"])
    bursts = [NOW - draw.randrange(1, 900 * DAY) for _ in range(3)]
    resources = []
    for number in range(profiles):
        model = known[number % len(known)]
        attributes = {
            **model.attributes,
            "email": None if draw.random() < 0.05 else f"jo{number}@example.com",
            "subscriptions": {"email": {"marketing": {"suppression": []}}},
        }
        resources.append(Resource("profile", f"P{number:06}", attributes))
    shop.collections["profile"] = Collection(resources)
    for resource in resources:
        for _ in range(draw.choice([0, 1, 1, 1, 1, 2, 4])):
            moment = draw.choice([draw.choice(bursts), NOW - draw.randrange(-60, 900 * DAY)])
            reason = draw.choice(["HARD_BOUNCE", "UNSUBSCRIBE"])
            shop.suppress(resource.id, reason, timestamp=moment)
    return shop


@pytest.mark.parametrize("entry_sort", ["oldest", "newest", "matching"])
@pytest.mark.parametrize(("seed", "concurrency"), [(1, 1), (2, 4), (3, 32), (4, 32)])
def test_each_suppressed_profile_once(
    tap_on: TapOn,
    caplog: pytest.LogCaptureFixture,
    entry_sort: EntrySort,
    seed: int,
    concurrency: int,
) -> None:
    """Each profile comes once, and each one without an email is counted once."""
    shop = suppressed_account(seed, 700)
    shop.collections["profile"].entry_sort = entry_sort
    output = tap_on(shop).sync(
        now=NOW,
        catalog=catalog_of("global_exclusions"),
        page_size=20,
        concurrency=concurrency,
    )
    assert output.fault is None
    times = Counter(output.ids["global_exclusions"])
    profiles = shop.collections["profile"]
    suppressed = set(shop.suppressed_profiles())
    with_email = {one for one in suppressed if profiles[one].attributes["email"]}
    assert set(times) == with_email
    assert set(times.values()) == {1}
    missing = len(suppressed) - len(with_email)
    assert f"{missing} records left out" in caplog.text


@pytest.mark.parametrize("page_size", [3, 20, 100])
def test_profiles_suppressed_in_one_second(tap_on: TapOn, page_size: int) -> None:
    """A second with many suppressions is read by its cursor."""
    shop = suppressed_account(5, 200)
    for resource in shop.collections["profile"]:
        shop.suppress(resource.id, timestamp=NOW - DAY)
    output = tap_on(shop).sync(
        now=NOW, catalog=catalog_of("global_exclusions"), page_size=page_size
    )
    with_email = [one for one in shop.collections["profile"] if one.attributes["email"]]
    assert sorted(output.ids["global_exclusions"]) == sorted(one.id for one in with_email)
