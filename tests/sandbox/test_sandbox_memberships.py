"""Who is in which list or segment, and how that changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest
from sandbox_client import NOW, Asking

from sandbox import Account

END = int(NOW.timestamp())
GROUPS = ["list", "segment"]


@pytest.fixture
def asking(changing: Account, asking_with: Callable[[Account], Asking]) -> Asking:
    """Asks about the account that a test changes."""
    return asking_with(changing)


@pytest.mark.parametrize("kind", GROUPS)
def test_members(ask: Asking, account: Account, kind: str) -> None:
    """The members of every group with the moments of their joining, as often as they are counted.

    Some joined in the same second, and one group is empty.
    """
    sizes, crowds = [], Counter[str]()
    for id in account.ids(kind):
        path = f"/api/{kind}s/{id}"
        found = {
            one["id"]: one["attributes"]["joined_group_at"]
            for page in ask.pages(f"{path}/profiles", page__size="100")
            for one in page.document["data"]
        }
        assert found == account.members(id)
        count = ask(f"{path}?additional-fields[{kind}]=profile_count").document["data"]
        assert count["attributes"]["profile_count"] == len(found)
        sizes.append(len(found))
        crowds.update(found.values())
    assert max(sizes) > 300
    assert min(sizes) == 0
    assert max(crowds.values()) > 20


@pytest.mark.parametrize("sort", ["joined_group_at", "-joined_group_at"])
def test_sorted(ask: Asking, account: Account, sort: str) -> None:
    """Members come in the order of their joining, across pages, each once."""
    id = account.list_ids()[0]
    pages = ask.pages(f"/api/lists/{id}/profiles", sort=sort)
    records = [one for page in pages for one in page.document["data"]]
    moments = [one["attributes"]["joined_group_at"] for one in records]
    assert moments == sorted(moments, reverse=sort.startswith("-"))
    assert sorted(one["id"] for one in records) == sorted(account.members(id))


def test_windows(ask: Asking, account: Account) -> None:
    """Two windows that meet hold every member once; the bounds are kept to the second."""
    id = account.list_ids()[1]
    joined = account.members(id)
    middle = sorted(joined.values())[len(joined) // 2]
    moment = datetime.fromisoformat(middle).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"/api/lists/{id}/profiles"
    before = ask.ids(path, filter=f"less-than(joined_group_at,{moment})")
    after = ask.ids(path, filter=f"greater-or-equal(joined_group_at,{moment})")
    assert sorted(before + after) == sorted(joined)
    assert {id for id, since in joined.items() if since == middle} <= set(after)


def test_a_member_is_the_profile(ask: Asking, account: Account) -> None:
    """A member has the attributes of the profile and one more."""
    group = account.list_ids()[0]
    (record,) = ask(f"/api/lists/{group}/profiles", page__size="1").document["data"]
    text = f"equals(id,'{record['id']}')"
    (profile,) = ask("/api/profiles", filter=text).document["data"]
    assert record["attributes"].pop("joined_group_at")
    assert record["attributes"] == profile["attributes"]
    assert record["links"] == profile["links"]


@pytest.mark.parametrize("field", ["email", "phone_number", "push_token", "_kx"])
def test_found_among_members(ask: Asking, account: Account, field: str) -> None:
    """A member can be found by what names a profile."""
    group = account.list_ids()[0]
    for id in account.members(group):
        profile = account.collections["profile"][id]
        tokens = [one.attributes["token"] for one in profile.related("push-tokens")]
        named = {**profile.values(), "push_token": next(iter(tokens), None)}
        if named[field]:
            text = f"equals({field},'{named[field]}')"
            assert ask.ids(f"/api/lists/{group}/profiles", filter=text) == [id]
            return
    pytest.fail(f"no member has a {field}")


@pytest.mark.parametrize("kind", GROUPS)
def test_joining_and_leaving(changing: Account, asking: Asking, kind: str) -> None:
    """Who joins appears, who joins again moves, and who leaves is gone without a trace."""
    group = changing.ids(kind)[1]
    path = f"/api/{kind}s/{group}/profiles"
    old = next(iter(changing.members(group)))
    new = next(id for id in changing.ids("profile") if id not in changing.members(group))
    changing.join(group, new, timestamp=END - 5)
    changing.join(group, old, timestamp=END - 3)
    since = "greater-or-equal(joined_group_at,2026-11-20T11:59:55Z)"
    assert asking.ids(path, filter=since, sort="joined_group_at") == [new, old]
    changing.leave(group, old)
    assert asking.ids(path, filter=since) == [new]
    assert old not in changing.members(group)
    with pytest.raises(KeyError):
        changing.leave(group, old)


def test_joining_nothing(changing: Account) -> None:
    """Neither an unknown group can be joined nor by an unknown profile."""
    with pytest.raises(KeyError):
        changing.join("nothing", changing.ids("profile")[0])
    with pytest.raises(KeyError):
        changing.join(changing.list_ids()[0], "nobody")


def test_deleted_members(changing: Account, asking: Asking) -> None:
    """A profile that is deleted is in no group any more."""
    group = changing.list_ids()[0]
    id = next(iter(changing.members(group)))
    changing.remove("profile", id)
    assert id not in changing.members(group)
    assert id not in asking.ids(f"/api/lists/{group}/profiles", page__size="100")


def test_deleted_groups(changing: Account, asking: Asking) -> None:
    """A list that is deleted between two pages is not found any more, nor are its members."""
    group = changing.list_ids()[0]
    first = asking(f"/api/lists/{group}/profiles")
    changing.remove("list", group)
    assert asking(first.document["links"]["next"]).status == 404
    assert asking(f"/api/lists/{group}").status == 404


def test_updated_profiles(changing: Account, asking: Asking) -> None:
    """A profile that is changed has another `updated`, in its groups too."""
    group = changing.list_ids()[0]
    id = next(iter(changing.members(group)))
    changing.update("profile", id, first_name="Renamed", now=END - 1)
    text = "greater-than(updated,2026-11-20T11:59:58Z)"
    (profile,) = asking("/api/profiles", filter=text).document["data"]
    assert profile["id"] == id
    assert profile["attributes"]["first_name"] == "Renamed"
    members = asking.pages(f"/api/lists/{group}/profiles")
    found = [one for page in members for one in page.document["data"] if one["id"] == id]
    assert found[0]["attributes"]["updated"] == "2026-11-20T11:59:59+00:00"
