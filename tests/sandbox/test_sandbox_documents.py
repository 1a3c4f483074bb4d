"""The structure of JSON:API documents."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sandbox_client import HEADERS, NOW, SandboxClient

from sandbox import Account, Request
from sandbox.get_requests import GetHandler
from sandbox.resource_types import RESOURCE_TYPES, name_set

EMAIL = "equals(messages.channel,'email')"


def _dotted(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield prefix + name
            yield from _dotted(inner, f"{prefix}{name}.")


def test_name_set() -> None:
    """Parentheses nest names under the name before them."""
    assert name_set("a b(c d-e(f)) g") == {"a", "b", "b.c", "b.d-e", "b.d-e.f", "g"}


@pytest.mark.parametrize(
    ("path", "query", "shown"),
    [
        ("events", {}, {"event": "timestamp event_properties datetime uuid"}),
        ("events", {"fields__event": "uuid"}, {"event": "uuid"}),
        ("events", {"fields__event": "id"}, {"event": ""}),
        (
            "events",
            {"include": "metric,profile", "fields__metric": "name", "fields__profile": "email"},
            {"event": "timestamp event_properties datetime uuid", "metric": "name",
             "profile": "email"},
        ),
        ("profiles", {"fields__profile": "location.city,email"},
         {"profile": "email location(city)"}),
        ("profiles", {"fields__profile": "location,location.city"},
         {"profile": """location(address1 address2 city country latitude longitude region zip
                                 timezone ip)"""}),
        ("profiles", {"fields__profile": "subscriptions,email"}, {"profile": "email"}),
        (
            "profiles",
            {"fields__profile": "subscriptions.email.marketing.consent",
             "additional_fields__profile": "subscriptions"},
            {"profile": "subscriptions(email(marketing(consent)))"},
        ),
        ("campaigns", {"filter": EMAIL, "fields__campaign": "send_strategy.method"},
         {"campaign": "send_strategy(method)"}),
        (
            "campaigns",
            {"filter": EMAIL, "fields__campaign": "name", "include": "campaign-messages,tags",
             "fields__campaign_message": "definition.content.subject", "fields__tag": "id"},
            {"campaign": "name", "campaign-message": "definition(content(subject))", "tag": ""},
        ),
        ("lists", {}, {"list": "name created updated opt_in_process"}),
        ("accounts", {"fields__account": "contact_information.street_address.city"},
         {"account": "contact_information(street_address(city))"}),
    ],
)  # fmt: skip
def test_fieldsets(
    client: SandboxClient, path: str, query: dict[str, str], shown: dict[str, str]
) -> None:
    """Documents have all attributes, or those of a sparse fieldset at any depth."""
    document = client.get(f"/api/{path}", **query).document
    records = document["data"] + document.get("included", [])
    names: dict[str, set[str]] = {record["type"]: set() for record in records}
    for record in records:
        attributes = record["attributes"]
        # Free-form objects have no attribute names to compare.
        free = {name: {} for name in ("event_properties", "properties") if name in attributes}
        names[record["type"]].update(_dotted({**attributes, **free}))
    assert names == {resource_type: set(name_set(text)) for resource_type, text in shown.items()}


@pytest.mark.parametrize("additional", ["subscriptions", "predictive_analytics"])
def test_additional_fields(client: SandboxClient, additional: str) -> None:
    """Additional attributes are returned only on request."""
    plain = client.get("/api/profiles", page__size="100").document["data"]
    asked = client.get(
        "/api/profiles", page__size="100", additional_fields__profile=additional
    ).document["data"]
    assert not any(
        RESOURCE_TYPES["profile"].additional.keys() & one["attributes"].keys() for one in plain
    )
    names = {name for one in asked for name in _dotted(one["attributes"]) if additional in name}
    metadata = {name for name in names if ".metadata." in name}
    assert names - metadata == RESOURCE_TYPES["profile"].additional[additional]


def test_event(client: SandboxClient, metric_id: str) -> None:
    """An event has the identifiers of its profile and metric even if they are not included."""
    text = f"equals(metric_id,'{metric_id}'),has(profile)"
    event = client.get("/api/events", filter=text, page__size="1").document["data"][0]
    home = f"https://klaviyo.example/api/events/{event['id']}/"
    relationships = event["relationships"]
    assert event["links"] == {"self": home}
    assert relationships["metric"] == {
        "data": {"type": "metric", "id": metric_id},
        "links": {"self": f"{home}relationships/metric/", "related": f"{home}metric/"},
    }
    assert relationships["profile"]["data"]["type"] == "profile"
    assert "data" not in relationships["attributions"]
    assert event["attributes"]["event_properties"]["$event_id"] == event["id"]


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("campaigns", {"filter": EMAIL}, "campaign-messages"),
        ("campaigns", {"filter": EMAIL}, "tags"),
        ("lists", {}, "tags"),
        ("lists", {}, "flow-triggers"),
        ("metrics", {}, "flow-triggers"),
        ("profiles", {}, "push-tokens"),
        ("profiles", {}, "conversations"),
        ("events", {}, "attributions"),
    ],
)
def test_relationships(client: SandboxClient, path: str, query: dict[str, str], name: str) -> None:
    """Other relationships have data only if they are included."""
    bare = client.get(f"/api/{path}", **query).document
    assert "included" not in bare
    assert not any("data" in record["relationships"][name] for record in bare["data"])
    pointed, included = set(), set()
    for page in client.pages(f"/api/{path}", **query, include=name):
        for record in page.document["data"]:
            pointers = record["relationships"][name]["data"]
            pointed |= {(one["type"], one["id"]) for one in pointers}
        on_page = [(one["type"], one["id"]) for one in page.document["included"]]
        assert len(on_page) == len(set(on_page))
        included |= set(on_page)
    assert pointed == included
    assert included


def test_deleted_profiles(client: SandboxClient, account: Account) -> None:
    """Events of deleted profiles keep the profile id, or have no profile."""
    deleted, missing = 0, 0
    for page in client.pages("/api/events", include="profile,metric", page__size="1000"):
        included = {one["id"] for one in page.document["included"]}
        for event in page.document["data"]:
            pointer = event["relationships"]["profile"]["data"]
            missing += pointer is None
            deleted += pointer is not None and pointer["id"] not in included
    assert deleted
    assert missing
    living = len(client.ids("/api/events", filter="has(profile)", page__size="1000"))
    assert living == len(account.log) - deleted - missing


def test_unresolved_metrics(client: SandboxClient, account: Account) -> None:
    """Some events have no metric; `has(metric)` excludes them."""
    everything = [one for page in client.pages("/api/events") for one in page.document["data"]]
    lacking = [one for one in everything if one["relationships"]["metric"]["data"] is None]
    assert lacking
    resolved = client.ids("/api/events", filter="has(metric)")
    assert set(resolved) == set(account.event_ids(integration=None))
    assert len(resolved) == len(everything) - len(lacking)


def test_profile_filter(client: SandboxClient) -> None:
    """Events can be filtered by profile."""
    event = client.get("/api/events", filter="has(profile)").document["data"][0]
    wanted = event["relationships"]["profile"]["data"]
    found = [
        one["relationships"]["profile"]["data"]
        for page in client.pages("/api/events", filter=f"equals(profile_id,'{wanted['id']}')")
        for one in page.document["data"]
    ]
    assert found
    assert all(one == wanted for one in found)


def test_attributions(client: SandboxClient, account: Account) -> None:
    """An order is attributed to a message and its campaign or flow."""
    pages = client.pages("/api/events", include="attributions", page__size="1000")
    found = [one for page in pages for one in page.document["included"]]
    attributed: dict[str, set[str]] = {"campaign": set(), "flow": set()}
    for attribution in found:
        assert "attributes" not in attribution
        data = {name: one.get("data") for name, one in attribution["relationships"].items()}
        (resource_type,) = [resource_type for resource_type in attributed if data[resource_type]]
        relation = {"campaign": "campaign-messages", "flow": "flow-actions"}[resource_type]
        assert data[resource_type]["id"] in account.ids(resource_type)
        assert data[f"{resource_type}-message"]
        assert account.ids_under(resource_type, data[resource_type]["id"], relation)
        attributed[resource_type].add(data[resource_type]["id"])
    assert all(attributed.values())


@pytest.mark.parametrize(
    ("accepted", "encoded"),
    [
        ("gzip", True),
        ("deflate, gzip", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("", False),
    ],
)
def test_compression(client: SandboxClient, accepted: str, encoded: bool) -> None:
    """Responses are compressed if the client accepts gzip."""
    request = Request("GET", "/api/lists", "", {**HEADERS, "accept-encoding": accepted})
    response = client.api.handle(request)
    assert (response.headers.get("Content-Encoding") == "gzip") is encoded
    assert response.headers["Content-Type"] == "application/vnd.api+json"
    body = gzip.decompress(response.body) if encoded else response.body
    assert json.loads(body)["data"]


def test_changes(mutable_account: Account, make_client: Callable[[Account], SandboxClient]) -> None:
    """A change to the account shows in the next response."""
    client = make_client(mutable_account)
    id = client.get("/api/lists").ids[0]
    mutable_account.change("list", id, name="Renamed")
    assert client.get("/api/lists", filter="equals(name,'Renamed')").ids == [id]
    assert client.get("/api/lists").document["data"][0]["attributes"]["name"] == "Renamed"
    mutable_account.remove("list", id)
    assert id not in client.ids("/api/lists")
    made = mutable_account.add_list("New", NOW)
    assert made in client.ids("/api/lists")


def test_same_bytes(make_client: Callable[[Account], SandboxClient]) -> None:
    """The same seed and time give the same bytes; another seed gives others."""

    def bodies(seed: int) -> list[bytes]:
        client = make_client(Account.seeded(seed, events=500, now=NOW))
        urls = [
            "/api/events?include=profile,metric,attributions",
            "/api/profiles?additional-fields[profile]=subscriptions,predictive_analytics",
            f"/api/campaigns?filter={EMAIL}&include=campaign-messages,tags",
            "/api/lists?include=tags",
            "/api/metrics?",
            "/api/accounts?",
        ]
        requests = [Request("GET", *url.split("?"), headers=HEADERS) for url in urls]
        return [client.api.handle(request).body for request in requests]

    assert bodies(3) == bodies(3)
    assert not set(bodies(3)) & set(bodies(4))


_EVENTS: dict[str, dict[str, str]] = {
    "plain": {},
    "backwards": {"sort": "-timestamp"},
    "related": {"include": "profile,metric,attributions", "fields__profile": "email"},
    "sparse": {"fields__event": "uuid", "page__size": "150"},
}


@pytest.mark.parametrize("query", _EVENTS.values(), ids=_EVENTS.keys())
def test_cached_events(
    mutable_account: Account, make_client: Callable[..., SandboxClient], query: dict[str, str]
) -> None:
    """Cached events equal those serialized anew, also after a change."""
    plain = make_client(mutable_account)
    caching = make_client(
        mutable_account,
        get_handler=GetHandler(mutable_account, plain.api.url, cache_events=True),
    )

    def documents(client: SandboxClient) -> list[Any]:
        return [page.document for page in client.pages("/api/events", **query)]

    assert documents(caching) == documents(plain)
    assert documents(caching) == documents(plain)
    mutable_account.arrive(count=5, now=NOW.timestamp())
    mutable_account.remove("metric", mutable_account.metrics()[0]["id"])
    mutable_account.remove("profile", mutable_account.ids("profile")[0])
    assert documents(caching) == documents(plain)
