"""Two small accounts whose resources have the same IDs, but other texts."""

from __future__ import annotations

import random
from datetime import datetime, timezone

import pytest

from sandbox.account import Account
from sandbox.seeding import seeded_account
from sandbox.seeding.account import make_account
from sandbox.seeding.metrics import NATIVE

MOST = 6
"""Resources of a type that an account keeps; each takes time in each target."""

_REDUCED = {
    **dict.fromkeys(("campaign", "coupon", "flow", "form", "list", "review", "segment"), MOST),
    **dict.fromkeys(("tag", "template", "translation"), MOST),
    **dict.fromkeys(("coupon-code", "object-record", "push-token"), 2 * MOST),
    # Of fewer, none would be related.
    **{"catalog-category": 12, "catalog-item": 12, "image": 60},
}

_TEXTS = (
    *("email", "phone_number", "first_name", "last_name", "name", "title", "label", "author"),
    *("description", "token", "unique_code", "alt_text", "sender_identifier", "source_locale"),
)

_UNKNOWN = {
    "address3": {"line": "Left door", "floor": 3, "height": 2.5, "notes": ["", None, True]},
    "note": {"name": "Porter", "hours": [9, 17]},
}
"""Nested attributes that no schema has."""


def similar_accounts(now: float) -> tuple[Account, Account]:
    """Two accounts as of a Unix second.

    The second one has other texts in half of its resources, and more events.
    """
    first = _small_account(now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeded_account, "make_account", lambda _: make_account(random.Random(2)))
        second = _small_account(now)
    # Streams find metrics by their names.
    for kind in second.collections.keys() - {"metric"}:
        for resource in [*second.collections[kind]][::2]:
            texts = {name: resource.attributes.get(name) for name in _TEXTS}
            changed = {
                name: f"Other {text}" for name, text in texts.items() if text and type(text) is str
            }
            second.change(kind, resource.id, **changed)
    for metric in ("Received Email", "Opened Email"):
        second.arrive(metric, timestamps=[now - 60 * minute for minute in range(1, 40)], now=now)
    return first, second


def add_data(account: Account, now: float, name: str) -> None:
    """Adds events, a list and a suppression, and changes and deletes resources, before `now`."""
    for names in NATIVE.values():
        account.arrive(names[-1], timestamps=[now - 60, now - 3000], now=now)
    moment = datetime.fromtimestamp(now - 60, timezone.utc)
    account.add_list(f"{name} 💐", moment)
    profiles, lists = account.ids("profile"), account.ids("list")
    for profile in profiles[:9]:
        account.update("profile", profile, now=now - 60, first_name=name, last_name=" ")
    account.suppress(profiles[9], "SPAM_COMPLAINT", timestamp=now - 60)
    account.suppress(profiles[10], "HARD_BOUNCE", timestamp=now - 60, list_id=lists[0])
    account.join(lists[0], profiles[11], timestamp=now - 60)
    for kind in ("campaign", "flow", "segment", "template"):
        account.update(kind, account.ids(kind)[0], now=now - 60, name=name)
        account.remove(kind, account.ids(kind)[-1])


def _small_account(now: float) -> Account:
    moments = [int(now) - age for age in (9000, 18_000, 27_000)]
    times = dict.fromkeys((*NATIVE, "order"), moments)
    moment = datetime.fromtimestamp(now, timezone.utc)
    account = Account.seeded(3, 200, "both", moment, odd_dates=True, times=times)
    _reduce(account)
    _add_odd_values(account)
    return account


def _reduce(account: Account) -> None:
    """Removes most of what takes time and shows nothing more."""
    for kind, most in _REDUCED.items():
        for identifier in account.ids(kind)[most:]:
            account.remove(kind, identifier)
    for metric in [one["id"] for one in account.metrics() if not one["events"]][MOST:]:
        account.remove("metric", metric)
    for group in (*account.ids("list"), *account.ids("segment")):
        for profile in [*account.members(group)][2 * MOST :]:
            account.leave(group, profile)


def _add_odd_values(account: Account) -> None:
    """Adds text with blanks, control characters and escapes, empty text, and unknown attributes."""
    account.change("template", account.ids("template")[0], text='\t "a" \\n \\ \x1b \u2028')
    for profile in account.collections["profile"]:
        location = profile.attributes["location"]
        account.change("profile", profile.id, location={**location, **_UNKNOWN})
    for profile, name in zip(account.ids("profile"), ("ÄNNE", " Änne\n"), strict=False):
        account.change("profile", profile, first_name=name, last_name="")
