"""Members of lists and segments."""

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
    """A client of the account that the test may change."""
    return make_client(mutable_account)


@pytest.mark.parametrize("resource_type", GROUPS)
def test_members(client: SandboxClient, account: Account, resource_type: str) -> None:
    """Members, their times of joining, and `profile_count` agree.

    Some members joined in the same second, and one group is empty.
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
    """Members are sorted by time of joining, across pages."""
    id = account.list_ids()[0]
    pages = client.pages(f"/api/lists/{id}/profiles", sort=sort)
    records = [one for page in pages for one in page.document["data"]]
    moments = [one["attributes"]["joined_group_at"] for one in records]
    assert moments == sorted(moments, reverse=sort.startswith("-"))
    assert sorted(one["id"] for one in records) == sorted(account.members(id))


def test_windows(client: SandboxClient, account: Account) -> None:
    """Adjacent windows have each member once."""
    id = account.list_ids()[1]
    joined = account.members(id)
    middle = sorted(joined.values())[len(joined) // 2]
    moment = datetime.fromisoformat(middle).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"/api/lists/{id}/profiles"
    before = client.ids(path, filter=f"less-than(joined_group_at,{moment})")
    after = client.ids(path, filter=f"greater-or-equal(joined_group_at,{moment})")
    assert sorted(before + after) == sorted(joined)
    assert {id for id, since in joined.items() if since == middle} <= set(after)


def test_member_attributes(client: SandboxClient, account: Account) -> None:
    """A member has the profile's attributes and `joined_group_at`."""
    group = account.list_ids()[0]
    (record,) = client.get(f"/api/lists/{group}/profiles", page__size="1").document["data"]
    text = f"equals(id,'{record['id']}')"
    (profile,) = client.get("/api/profiles", filter=text).document["data"]
    assert record["attributes"].pop("joined_group_at")
    assert record["attributes"] == profile["attributes"]
    assert record["links"] == profile["links"]


@pytest.mark.parametrize("field", ["email", "phone_number", "push_token", "_kx"])
def test_filters(client: SandboxClient, account: Account, field: str) -> None:
    """Members can be filtered by identifiers of the profile."""
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
def test_join_and_leave(
    mutable_account: Account, mutable_client: SandboxClient, resource_type: str
) -> None:
    """Joining adds a member, joining again moves it, leaving removes it."""
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


def test_join_unknown(mutable_account: Account) -> None:
    """Unknown groups and profiles raise KeyError."""
    with pytest.raises(KeyError):
        mutable_account.join("nothing", mutable_account.ids("profile")[0])
    with pytest.raises(KeyError):
        mutable_account.join(mutable_account.list_ids()[0], "nobody")


def test_deleted_members(mutable_account: Account, mutable_client: SandboxClient) -> None:
    """A deleted profile is no longer a member."""
    group = mutable_account.list_ids()[0]
    id = next(iter(mutable_account.members(group)))
    mutable_account.remove("profile", id)
    assert id not in mutable_account.members(group)
    assert id not in mutable_client.ids(f"/api/lists/{group}/profiles", page__size="100")


def test_deleted_groups(mutable_account: Account, mutable_client: SandboxClient) -> None:
    """A deleted list returns 404 for its next page too."""
    group = mutable_account.list_ids()[0]
    first = mutable_client.get(f"/api/lists/{group}/profiles")
    mutable_account.remove("list", group)
    assert mutable_client.get(first.document["links"]["next"]).status == 404
    assert mutable_client.get(f"/api/lists/{group}").status == 404


def test_updated_profiles(mutable_account: Account, mutable_client: SandboxClient) -> None:
    """An updated profile has a new `updated`, also as a member."""
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
