"""Pagination and links."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_client import NOW, SandboxClient

from sandbox import Account, Event
from sandbox.events import iso
from sandbox.pagination import Cursor, Selection

# Indexes of events whose timestamps are used as bounds.
EVENT = st.integers(0, 2900)


@pytest.fixture(scope="session")
def all_events(account: Account) -> list[Event]:
    """All events of the account, sorted by time."""
    order, _, _ = account.log.between(None)
    return [account.log.event(row) for row in order]


@pytest.fixture(scope="session")
def shared(account: Account, make_client: Callable[[Account], SandboxClient]) -> SandboxClient:
    """A client that all examples of a property share."""
    return make_client(account)


@given(
    size=st.integers(25, 1000),
    bounds=st.tuples(EVENT, EVENT),
    sort=st.sampled_from(["timestamp", "-timestamp", "datetime", "-datetime"]),
    only_metric=st.booleans(),
    strict=st.booleans(),
)
@settings(max_examples=60)
def test_events(
    shared: SandboxClient,
    all_events: list[Event],
    metric_id: str,
    size: int,
    bounds: tuple[int, int],
    sort: str,
    only_metric: bool,
    strict: bool,
) -> None:
    """For any window, page size and sort: every event once, in order."""
    field = sort.removeprefix("-")
    start, end = (all_events[which].timestamp for which in bounds)
    low, high = (moment if field == "timestamp" else iso(moment) for moment in (start, end))
    operators = ("greater-than", "less-or-equal") if strict else ("greater-or-equal", "less-than")
    terms = [f"{operators[0]}({field},{low})", f"{operators[1]}({field},{high})"]
    terms += [f"equals(metric_id,'{metric_id}')"] if only_metric else []
    found = shared.ids("/api/events", filter=",".join(terms), sort=sort, page__size=str(size))
    truth = [
        event.id
        for event in all_events
        if (start < event.timestamp <= end if strict else start <= event.timestamp < end)
        if not only_metric or event.metric_id == metric_id
    ]
    assert found == (truth[::-1] if sort.startswith("-") else truth)


@pytest.mark.parametrize("size", ["1", "3", "7", "10"])
@pytest.mark.parametrize("sort", ["id", "-id", "created", "-created", "name", "-updated"])
def test_lists(client: SandboxClient, account: Account, size: str, sort: str) -> None:
    """Every list once for any page size and sort, nulls last."""
    pages = list(client.pages("/api/lists", page__size=size, sort=sort))
    records = [record for page in pages for record in page.document["data"]]
    assert sorted(record["id"] for record in records) == sorted(account.list_ids())
    name = sort.removeprefix("-")
    values = [record["id"] if name == "id" else record["attributes"][name] for record in records]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (len(values) - len(known))
    assert known == sorted(known, reverse=sort.startswith("-"))


@pytest.mark.parametrize(
    ("path", "resource_type", "count"),
    [("/api/lists", "list", 3), ("/api/metrics", "metric", 2), ("/api/profiles", "profile", 7)],
)
def test_several_pages(
    client: SandboxClient, account: Account, path: str, resource_type: str, count: int
) -> None:
    """The seeded account has several pages of each type."""
    query = {"page__size": "100"} if resource_type == "profile" else {}
    pages = list(client.pages(path, **query))
    assert len(pages) == count
    assert sorted(id for page in pages for id in page.ids) == sorted(account.ids(resource_type))


@pytest.mark.parametrize("archived", [None, "true", "false"])
@pytest.mark.parametrize("channel", ["email", "sms", "mobile_push"])
def test_campaigns(
    client: SandboxClient, account: Account, channel: str, archived: str | None
) -> None:
    """Campaigns are listed by channel, archived ones only on request."""
    text = f"equals(messages.channel,'{channel}')"
    text += f",equals(archived,{archived})" if archived else ""
    truth = account.campaign_ids([channel], archived=archived == "true")
    assert sorted(client.ids("/api/campaigns", filter=text)) == sorted(truth)
    assert truth


def test_backwards(client: SandboxClient, metric_id: str) -> None:
    """The `prev` links lead back over the same pages."""
    query = {"filter": f"equals(metric_id,'{metric_id}')", "sort": "-timestamp"}
    pages = list(client.pages("/api/events", **query))
    page = pages[-1]
    for before in reversed(pages[:-1]):
        page = client.get(page.document["links"]["prev"])
        assert page.ids == before.ids
    assert pages[0].document["links"]["prev"] is None


def test_arrivals_during_pagination(
    mutable_account: Account, make_client: Callable[[Account], SandboxClient]
) -> None:
    """Events that arrive during pagination neither repeat nor hide others."""
    client = make_client(mutable_account)
    before = mutable_account.event_ids_of(None)
    found = []
    for page in client.pages("/api/events", sort="timestamp", page__size="50"):
        found += page.ids
        mutable_account.arrive(timestamps=[NOW.timestamp() - 15 * 86_400, NOW.timestamp() - 60])
    assert [id for id in found if id in set(before)] == before
    assert len(found) == len(set(found))


def test_links(client: SandboxClient) -> None:
    """Links are absolute, end their path with a slash and keep all parameters."""
    query = {"include": "profile,metric", "sort": "timestamp", "page__size": "2"}
    links = client.get("/api/events", **query).document["links"]
    parts = urlsplit(links["next"])
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "klaviyo.example", "/api/events/")
    assert parts.query.startswith(
        "include=profile%2Cmetric&sort=timestamp&page%5Bsize%5D=2&page%5B"
    )
    assert client.get(links["next"]).document["links"]["next"].count("cursor") == 1


def test_trailing_slash(client: SandboxClient) -> None:
    """A trailing slash in the path makes no difference."""
    assert client.get("/api/lists").document == client.get("/api/lists/").document


@pytest.mark.parametrize("cursor", ["", "x", "bmV4dA==", "WyJuZXh0IiwgMSwgMiwgM10=", "é", "null"])
def test_invalid_cursors(client: SandboxClient, cursor: str) -> None:
    """Invalid cursors return 400."""
    response = client.get("/api/lists", page__cursor=cursor)
    assert response.status == 400
    assert response.error["detail"] == "Invalid cursor provided."
    assert response.error["source"] == {"parameter": "page[cursor]"}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/lists", {"sort": "name"}),
        ("/api/lists", {"filter": "greater-than(updated,2020-01-01T00:00:00Z)"}),
        ("/api/profiles", {}),
    ],
)
def test_cursors_of_other_queries(client: SandboxClient, path: str, query: dict[str, str]) -> None:
    """A cursor is valid only for its own query."""
    link = client.get("/api/lists").document["links"]["next"]
    cursor = link.partition("cursor%5D=")[2]
    assert client.get(path, page__cursor=cursor.replace("%3D", "="), **query).status == 400


@given(
    rows=st.lists(st.integers(0, 50), unique=True).map(sorted),
    size=st.integers(1, 60),
    descending=st.booleans(),
)
def test_selection(rows: list[int], size: int, descending: bool) -> None:
    """A selection returns each row once for any page size and direction."""
    selection = Selection(rows, lambda row: (row,), 0, len(rows), descending)
    page = selection.page(None, size)
    found = list(page.rows)
    while page.next is not None:
        page = selection.page(Cursor.decode(Cursor("next", page.next, 7).encode(), 7), size)
        found += page.rows
    assert found == (rows[::-1] if descending else rows)
