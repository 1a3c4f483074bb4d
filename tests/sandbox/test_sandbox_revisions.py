"""Both revisions show the same account, each in its own form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sandbox_client import NOW, SandboxClient

from sandbox import Account
from sandbox.endpoints import ENDPOINTS
from sandbox.extras import EXTRA_ATTRIBUTE

REVISION = "2026-10-15"
CHANNELS = ("email", "sms", "mobile_push")
LATER = int(NOW.timestamp()) - 60

Resources = dict[str, dict[str, Any]]


def old_campaigns(client: SandboxClient, archived: bool) -> Resources:
    """The campaigns of revision 2026-07-15 by id."""
    return {
        one["id"]: one
        for channel in CHANNELS
        for page in client.pages(
            "/api/campaigns",
            filter=f"equals(messages.channel,'{channel}'),equals(archived,{str(archived).lower()})",
            include="campaign-messages",
        )
        for one in page.document["data"]
    }


def listed(client: SandboxClient, path: str, **query: str) -> Resources:
    """The resources on all pages by id."""
    return {one["id"]: one for page in client.pages(path, **query) for one in page.document["data"]}


def new_campaigns(client: SandboxClient, archived: bool) -> Resources:
    """The campaigns of revision 2026-10-15 by id."""
    text = f"equals(archived,{str(archived).lower()})"
    include = "campaign-messages,campaign-audiences"
    return listed(client, "/api/campaigns", filter=text, include=include)


def related(resource: dict[str, Any], name: str) -> list[str]:
    """The ids of a to-many relationship."""
    return [one["id"] for one in resource["relationships"][name]["data"]]


@pytest.mark.parametrize("archived", [False, True])
def test_same_campaigns(client: SandboxClient, new_client: SandboxClient, archived: bool) -> None:
    """Campaigns keep their ids, names, dates and messages."""
    old, new = old_campaigns(client, archived), new_campaigns(new_client, archived)
    assert old
    for id, campaign in old.items():
        known, found = campaign["attributes"], new[id]["attributes"]
        assert (found["created_at"], found["updated_at"]) == (
            known["created_at"],
            known["updated_at"],
        )
        assert found["definition"]["name"] == known["name"]
        assert found["definition"]["archived"] is archived
        assert related(new[id], "campaign-messages") == related(campaign, "campaign-messages")
        assert len(related(new[id], "campaign-audiences")) == 1


@pytest.mark.parametrize("archived", [False, True])
def test_further_campaigns(
    client: SandboxClient, new_client: SandboxClient, archived: bool
) -> None:
    """Only the newer revision has campaigns of the canvas, and those of WhatsApp."""
    new = new_campaigns(new_client, archived)
    further = [new[id] for id in new.keys() - old_campaigns(client, archived).keys()]
    builders = {one["attributes"]["definition"]["builder"] for one in further}
    assert builders == {"canvas", "wizard"}


def test_archived_campaigns_are_left_out(new_client: SandboxClient) -> None:
    """Without a filter on it, only campaigns that are not archived are returned."""
    assert listed(new_client, "/api/campaigns").keys() == new_campaigns(new_client, False).keys()


def test_same_messages(client: SandboxClient, new_client: SandboxClient) -> None:
    """A message has the send time and the tracking options of its campaign, and one variation."""
    messages = listed(new_client, "/api/campaign-messages", page__size="100")
    for campaign in old_campaigns(client, False).values():
        known = campaign["attributes"]
        for id in related(campaign, "campaign-messages"):
            definition = messages[id]["attributes"]["definition"]
            assert definition["send_options"]["send_time"] == known["send_time"]
            tracking, options = definition["tracking_options"], known["tracking_options"]
            assert (tracking is None) == (options is None)
            if tracking:
                assert tracking["is_add_utm"] == options["add_tracking_params"]
                assert tracking["is_tracking_opens"] == options.get("is_tracking_opens")
            assert messages[id]["relationships"]["campaign"]["data"]["id"] == campaign["id"]


def test_same_audiences(account: Account, new_client: SandboxClient) -> None:
    """The audience of a campaign includes and excludes the same lists, for all its messages."""
    for id in account.ids("campaign")[:20]:
        known = account.collections["campaign"][id].attributes["audiences"]
        (audience,) = listed(new_client, f"/api/campaigns/{id}/campaign-audiences").values()
        definition = audience["attributes"]["definition"]
        assert {name: definition[name] for name in known} == known
        messages = new_client.ids(f"/api/campaign-audiences/{audience['id']}/campaign-messages")
        assert {*messages} == {*account.ids_under("campaign", id, "campaign-messages")}
        for message in messages:
            found = new_client.get(f"/api/campaign-messages/{message}/campaign-audience")
            assert found.document["data"]["id"] == audience["id"]


@pytest.mark.parametrize(
    ("channel", "details"),
    [
        ("email", {"subject": "Hi", "from_email": "shop@example.com", "reply_to_email": ""}),
        ("sms", {"body": "Hi", "add_org_prefix": True, "text_message_type": "SMS"}),
        ("mobile_push", {"kv_pairs": {"deal": "spring"}, "channel": "push"}),
    ],
)
def test_same_content(
    mutable_account: Account,
    make_client: Callable[..., SandboxClient],
    channel: str,
    details: dict[str, Any],
) -> None:
    """The only variation of a message has its content."""
    (campaign, *_) = mutable_account.campaign_ids([channel])
    (message, *_) = mutable_account.ids_under("campaign", campaign, "campaign-messages")
    definition = mutable_account.collections["campaign-message"][message].attributes["definition"]
    content = {**definition.get("content", {}), "subject": "Hi", "body": "Hi"}
    names = definition.get("content", {}).keys()
    definition["content"] = {name: content[name] for name in names}
    client = make_client(mutable_account, REVISION)
    path = f"/api/campaign-messages/{message}/campaign-variations"
    (variation,) = client.get(path).document["data"]
    found = variation["attributes"]["definition"]["details"]
    assert {name: found[name] for name in details} == details


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Draft", "draft"),
        ("Scheduled", "scheduled"),
        ("Preparing to schedule", "scheduled"),
        ("Preparing to send", "sending"),
        ("Adding Recipients", "sending"),
        ("Queued without Recipients", "sending"),
        ("Sending", "sending"),
        ("Sending Segments", "sending"),
        ("Sent", "sent"),
        ("Variations Sent", "sent"),
        ("Cancelled", "cancelled"),
        ("Cancelled: No Recipients", "cancelled"),
        ("Cancelled: Account Disabled", "cancelled"),
        ("Unknown", None),
    ],
)
def test_statuses(
    mutable_account: Account,
    make_client: Callable[..., SandboxClient],
    old: str,
    new: str | None,
) -> None:
    """The messages of a campaign have its status, in the words of the newer revision."""
    client = make_client(mutable_account, REVISION)
    (id, *_) = mutable_account.campaign_ids(["email"])
    mutable_account.update("campaign", id, status=old, now=LATER)
    messages = listed(client, "/api/campaign-messages", filter=f"equals(campaign_id,'{id}')")
    assert messages.keys() == {*mutable_account.ids_under("campaign", id, "campaign-messages")}
    for message in messages.values():
        assert message["attributes"]["definition"]["status"] == new
        assert message["attributes"]["updated"] == "2026-11-20T11:59:00+00:00"


def test_a_deleted_campaign(
    mutable_account: Account, make_client: Callable[..., SandboxClient]
) -> None:
    """A deleted campaign is gone in both revisions, with all that it consists of."""
    client = make_client(mutable_account, REVISION)
    old, new = mutable_account.ids("campaign")[0], mutable_account.ids("campaign", REVISION)[-2]
    for id in (old, new):
        messages = mutable_account.ids_under("campaign", id, "campaign-messages", REVISION)
        audiences = mutable_account.ids_under("campaign", id, "campaign-audiences", REVISION)
        (variation, *_) = mutable_account.ids_under(
            "campaign-message", messages[0], "campaign-variations", REVISION
        )
        paths = [
            f"/api/campaigns/{id}",
            f"/api/campaign-audiences/{audiences[0]}",
            f"/api/campaign-messages/{messages[0]}",
            f"/api/campaign-variations/{variation}",
        ]
        assert [client.get(path).status for path in paths] == [200] * 4
        mutable_account.remove("campaign", id)
        assert [client.get(path).status for path in paths] == [404] * 4
        assert not {*messages} & {*client.ids("/api/campaign-messages")}
    assert make_client(mutable_account).get(f"/api/campaigns/{old}").status == 404


@pytest.mark.parametrize("place", [0, -1])
def test_changed_messages(
    mutable_account: Account, make_client: Callable[..., SandboxClient], place: int
) -> None:
    """A message of either revision can be changed, and deleted alone."""
    client = make_client(mutable_account, REVISION)
    id = mutable_account.ids("campaign-message", REVISION)[place]
    mutable_account.update("campaign-message", id, now=LATER)
    text = "greater-or-equal(updated,2026-11-20T11:59:00Z)"
    assert client.ids("/api/campaign-messages", filter=text) == [id]
    mutable_account.remove("campaign-message", id)
    assert id not in client.ids("/api/campaign-messages")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("contains(name,'whatsapp')", lambda one: "whatsapp" in one["definition"]["name"]),
        ("equals(status,'sending')", lambda one: one["definition"]["status"] == "sending"),
        ("less-than(created,2026-09-01T00:00:00Z)", lambda one: one["created"] < "2026-09-01"),
    ],
)
def test_message_filters(
    new_client: SandboxClient, text: str, expected: Callable[[dict[str, Any]], bool]
) -> None:
    """The flat list of messages can be filtered by what their definition says."""
    every = listed(new_client, "/api/campaign-messages", page__size="100")
    found = listed(new_client, "/api/campaign-messages", filter=text)
    wanted = {id for id, one in every.items() if expected(one["attributes"])}
    assert wanted
    assert found.keys() == wanted
    assert wanted != every.keys()


@pytest.mark.parametrize("builder", ["canvas", "wizard"])
def test_campaign_filter_by_builder(new_client: SandboxClient, builder: str) -> None:
    """Campaigns can be filtered by their builder."""
    found = listed(new_client, "/api/campaigns", filter=f"equals(builder,'{builder}')")
    definitions = [one["attributes"]["definition"] for one in found.values()]
    assert {one["builder"] for one in definitions} == {builder}


def test_changed_names_are_found(
    mutable_account: Account, make_client: Callable[..., SandboxClient]
) -> None:
    """Filters see the changed definition of a campaign that only the newer revision has."""
    client = make_client(mutable_account, REVISION)
    id = mutable_account.ids("campaign", REVISION)[-1]
    (known,) = listed(client, "/api/campaigns", filter=f"any(id,['{id}'])").values()
    definition = {**known["attributes"]["definition"], "name": "Herbst", "archived": True}
    mutable_account.update("campaign", id, now=LATER, definition=definition)
    text = "equals(archived,true),contains(name,'Herbst')"
    assert client.ids("/api/campaigns", filter=text) == [id]


@pytest.mark.parametrize("sort", ["name", "-name", "status", "-updated"])
def test_message_sorts(new_client: SandboxClient, sort: str) -> None:
    """Messages are sorted by attributes and by values of their definition."""
    name = sort.removeprefix("-")
    found = listed(new_client, "/api/campaign-messages", sort=sort, page__size="100")
    values = [
        {**one["attributes"], **one["attributes"]["definition"]}[name] for one in found.values()
    ]
    assert values == sorted(values, reverse=sort.startswith("-"))


@pytest.mark.parametrize(
    ("resource_type", "name"),
    [("coupon", "assigner_configuration"), ("template", "screenshot_url")],
)
def test_added_attributes(
    client: SandboxClient, new_client: SandboxClient, resource_type: str, name: str
) -> None:
    """Attributes that the newer revision adds are hidden from the older one."""
    path = f"/api/{resource_type}s"
    assert all(name in one["attributes"] for one in listed(new_client, path).values())
    assert not any(name in one["attributes"] for one in listed(client, path).values())
    assert client.get(path, **{f"fields__{resource_type}": name}).status == 400


@pytest.mark.parametrize("fields", [None, "subscriptions", "subscriptions.email"])
def test_click_tracking(
    client: SandboxClient, new_client: SandboxClient, fields: str | None
) -> None:
    """Only the newer revision has the consent to click tracking."""
    query = {"additional_fields__profile": "subscriptions"}
    query |= {"fields__profile": fields} if fields else {}
    for one, has_it in ((client, False), (new_client, True)):
        for profile in one.get("/api/profiles", **query).document["data"]:
            email = profile["attributes"]["subscriptions"]["email"]
            assert "open_tracking" in email
            assert ("click_tracking" in email) is has_it


UNCHANGED = ENDPOINTS.keys() - {
    "/api/campaigns",
    "/api/coupon-codes",
    "/api/coupons",
    "/api/templates",
}


@pytest.mark.parametrize("path", sorted(path for path in UNCHANGED if "{id}" not in path))
def test_unchanged_lists(client: SandboxClient, new_client: SandboxClient, path: str) -> None:
    """All other lists are the same in both revisions."""
    assert client.get(path).document == new_client.get(path).document


@pytest.mark.parametrize("revision", ["2026-07-15", REVISION])
def test_extras(account: Account, make_client: Callable[..., SandboxClient], revision: str) -> None:
    """Answers can have hints for agents, and attributes that are not documented."""
    client = make_client(account, revision, extras=True)
    page = client.get("/api/lists", include="tags", fields__tag="name").document
    assert page["meta"]["agent_hints"]["next_steps"]
    assert all(EXTRA_ATTRIBUTE in one["attributes"] for one in page["data"])
    assert not any(EXTRA_ATTRIBUTE in one["attributes"] for one in page["included"])
    report = client.post(
        "/api/segment-values-reports",
        "segment-values-report",
        statistics=["total_members"],
        timeframe={"key": "last_7_days"},
    ).document
    assert report["meta"] == page["meta"]
    plain = make_client(account, revision).get("/api/lists").document
    assert plain.keys() == {"data", "links"}
