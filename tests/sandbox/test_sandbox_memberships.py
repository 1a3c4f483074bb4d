"""Who is in which list or segment, and how that changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest
from sandbox_client import NOW, SandboxClient

from sandbox import Account

END = int(NOW.timestamp())
GROUPS = ["list", "segment"]


@pytest.fixture
def mutable_client(
    mutable_account: Account, make_client: Callable[[Account], SandboxClient]
) -> SandboxClient:
    """Asks about the account that a test changes."""
    return make_client(mutable_account)


@pytest.mark.parametrize("resource_type", GROUPS)
def test_members(client: SandboxClient, account: Account, resource_type: str) -> None:
    """The members of every group with the moments of their joining, as often as they are counted.

    Some joined in the same second, and one group is empty.
    """
    sizes, crowds = [], Counter[str]()
    for id in account.ids(resource_type):
        path = f"/api/{resource_type}s/{id}"
        found = {
            one["id"]: one["attributes"]["joined_group_at"]
            for page in client.pages(f"{path}/profiles", page__size="100")
            for one in page.document["data"]
        }
        assert found == account.members(id)
        count = client.get(f"{path}?additional-fields[{resource_type}]=profile_count").document[
            "data"
        ]
        assert count["attributes"]["profile_count"] == len(found)
        sizes.append(len(found))
        crowds.update(found.values())
    assert max(sizes) > 300
    assert min(sizes) == 0
    assert max(crowds.values()) > 20


@pytest.mark.parametrize("sort", ["joined_group_at", "-joined_group_at"])
def test_sorted(client: SandboxClient, account: Account, sort: str) -> None:
    """Members come in the order of their joining, across pages, each once."""
    id = account.list_ids()[0]
    pages = client.pages(f"/api/lists/{id}/profiles", sort=sort)
    records = [one for page in pages for one in page.document["data"]]
    moments = [one["attributes"]["joined_group_at"] for one in records]
    assert moments == sorted(moments, reverse=sort.startswith("-"))
    assert sorted(one["id"] for one in records) == sorted(account.members(id))


def test_windows(client: SandboxClient, account: Account) -> None:
    """Two windows that meet hold every member once; the bounds are kept to the second."""
    id = account.list_ids()[1]
    joined = account.members(id)
    middle = sorted(joined.values())[len(joined) // 2]
    moment = datetime.fromisoformat(middle).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"/api/lists/{id}/profiles"
    before = client.ids(path, filter=f"less-than(joined_group_at,{moment})")
    after = client.ids(path, filter=f"greater-or-equal(joined_group_at,{moment})")
    assert sorted(before + after) == sorted(joined)
    assert {id for id, since in joined.items() if since == middle} <= set(after)


def test_a_member_is_the_profile(client: SandboxClient, account: Account) -> None:
    """A member has the attributes of the profile and one more."""
    group = account.list_ids()[0]
    (record,) = client.get(f"/api/lists/{group}/profiles", page__size="1").document["data"]
    text = f"equals(id,'{record['id']}')"
    (profile,) = client.get("/api/profiles", filter=text).document["data"]
    assert record["attributes"].pop("joined_group_at")
    assert record["attributes"] == profile["attributes"]
    assert record["links"] == profile["links"]


@pytest.mark.parametrize("field", ["email", "phone_number", "push_token", "_kx"])
def test_found_among_members(client: SandboxClient, account: Account, field: str) -> None:
    """A member can be found by what names a profile."""
    group = account.list_ids()[0]
    for id in account.members(group):
        profile = account.collections["profile"][id]
        tokens = [one.attributes["token"] for one in profile.related("push-tokens")]
        named = {**profile.values(), "push_token": next(iter(tokens), None)}
        if named[field]:
            text = f"equals({field},'{named[field]}')"
            assert client.ids(f"/api/lists/{group}/profiles", filter=text) == [id]
            return
    pytest.fail(f"no member has a {field}")


@pytest.mark.parametrize("resource_type", GROUPS)
def test_joining_and_leaving(
    mutable_account: Account, mutable_client: SandboxClient, resource_type: str
) -> None:
    """Who joins appears, who joins again moves, and who leaves is gone without a trace."""
    group = mutable_account.ids(resource_type)[1]
    path = f"/api/{resource_type}s/{group}/profiles"
    old = next(iter(mutable_account.members(group)))
    new = next(
        id for id in mutable_account.ids("profile") if id not in mutable_account.members(group)
    )
    mutable_account.join(group, new, timestamp=END - 5)
    mutable_account.join(group, old, timestamp=END - 3)
    since = "greater-or-equal(joined_group_at,2026-11-20T11:59:55Z)"
    assert mutable_client.ids(path, filter=since, sort="joined_group_at") == [new, old]
    mutable_account.leave(group, old)
    assert mutable_client.ids(path, filter=since) == [new]
    assert old not in mutable_account.members(group)
    with pytest.raises(KeyError):
        mutable_account.leave(group, old)


def test_joining_nothing(mutable_account: Account) -> None:
    """Neither an unknown group can be joined nor by an unknown profile."""
    with pytest.raises(KeyError):
        mutable_account.join("nothing", mutable_account.ids("profile")[0])
    with pytest.raises(KeyError):
        mutable_account.join(mutable_account.list_ids()[0], "nobody")


def test_deleted_members(mutable_account: Account, mutable_client: SandboxClient) -> None:
    """A profile that is deleted is in no group any more."""
    group = mutable_account.list_ids()[0]
    id = next(iter(mutable_account.members(group)))
    mutable_account.remove("profile", id)
    assert id not in mutable_account.members(group)
    assert id not in mutable_client.ids(f"/api/lists/{group}/profiles", page__size="100")


def test_deleted_groups(mutable_account: Account, mutable_client: SandboxClient) -> None:
    """A list that is deleted between two pages is not found any more, nor are its members."""
    group = mutable_account.list_ids()[0]
    first = mutable_client.get(f"/api/lists/{group}/profiles")
    mutable_account.remove("list", group)
    assert mutable_client.get(first.document["links"]["next"]).status == 404
    assert mutable_client.get(f"/api/lists/{group}").status == 404


def test_updated_profiles(mutable_account: Account, mutable_client: SandboxClient) -> None:
    """A profile that is changed has another `updated`, in its groups too."""
    group = mutable_account.list_ids()[0]
    id = next(iter(mutable_account.members(group)))
    mutable_account.update("profile", id, first_name="Renamed", now=END - 1)
    text = "greater-than(updated,2026-11-20T11:59:58Z)"
    (profile,) = mutable_client.get("/api/profiles", filter=text).document["data"]
    assert profile["id"] == id
    assert profile["attributes"]["first_name"] == "Renamed"
    members = mutable_client.pages(f"/api/lists/{group}/profiles")
    found = [one for page in members for one in page.document["data"] if one["id"] == id]
    assert found[0]["attributes"]["updated"] == "2026-11-20T11:59:59+00:00"
