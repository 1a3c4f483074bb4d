"""The variety and consistency of seeded resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sandbox_client import SandboxClient

from sandbox import Account
from sandbox.seeding.profiles import REASONS


def _values(account: Account, resource_type: str, name: str) -> set[Any]:
    """The values of an attribute."""
    found = [one.attributes[name] for one in account.collections[resource_type]]
    return {str(one) if isinstance(one, (dict, list)) else one for one in found}


@pytest.mark.parametrize(
    ("resource_type", "name", "values"),
    [
        ("catalog-item", "published", {True, False}),
        ("catalog-variant", "inventory_policy", {0, 1, 2}),
        ("coupon-code", "status",
         {"ASSIGNED_TO_PROFILE", "USED", "UNASSIGNED", "PROCESSING", "VERSION_NOT_ACTIVE"}),
        ("flow", "archived", {True, False}),
        ("flow", "status", {"live", "manual", "draft"}),
        ("flow", "trigger_type",
         {"Added to List", "Date Based", "Low Inventory", "Metric", "Price Drop",
          "Unconfigured"}),
        ("form", "status", {"live", "draft"}),
        ("form", "ab_test", {True, False}),
        ("image", "hidden", {True, False}),
        ("object-type", "status", {"active", "draft"}),
        ("review", "review_type", {"review", "rating", "question", "store"}),
        ("review", "rating", {1, 2, 3, 4, 5, None}),
        ("segment", "is_active", {True, False}),
        ("segment", "is_processing", {True, False}),
        ("segment", "is_starred", {True, False}),
        ("tag-group", "default", {True, False}),
        ("tag-group", "exclusive", {True, False}),
        ("template", "editor_type", {"SYSTEM_DRAGGABLE", "CODE", "USER_DRAGGABLE", "SIMPLE"}),
        ("web-feed", "request_method", {"get", "post"}),
        ("webhook", "enabled", {True, False}),
    ],
)  # fmt: skip
def test_variety(account: Account, resource_type: str, name: str, values: set[Any]) -> None:
    """An attribute has all values that readers must distinguish."""
    assert _values(account, resource_type, name) == values


@pytest.mark.parametrize(
    ("resource_type", "path", "values"),
    [
        ("billing-usage", "unit",
         {"USD", "conversations", "credits", "messages", "orders", "profiles", "resolutions"}),
        ("brand-button", "border.border_style", {"dashed", "dotted", "solid"}),
        ("campaign", "definition.archived", {True, False}),
        ("campaign", "definition.builder", {"canvas", "wizard"}),
        ("campaign", "definition.send_settings.send_strategy", {"static", "timezone"}),
        ("campaign-audience", "definition.priority", {1, 2}),
        ("campaign-message", "definition.ab_test.winner_metric",
         {"clicks_unique", "opens_unique", "placed_orders_unique"}),
        ("campaign-message", "definition.send_options.send_strategy",
         {"ab_send_time_test", "content_variation", "local_timezone",
          "personalized_send_time_optimization", "send_time_optimization", "static",
          "throttled"}),
        ("campaign-message", "definition.send_options.throttle_unit", {"hour", "minute"}),
        ("campaign-message", "definition.status",
         {"cancelled", "draft", "scheduled", "sending", "sent"}),
        ("campaign-variation", "definition.details.channel",
         {"email", "push", "sms", "whatsapp"}),
        ("campaign-variation", "definition.details.text_message_type", {"MMS", "RCS", "SMS"}),
        ("text-messaging-sender", "sender_type",
         {"alpha", "long_code", "short_code", "toll_free", "vanity_short_code"}),
        ("text-messaging-sender", "status",
         {"active", "pending_registration", "registering", "registration_failed", "suspended"}),
        ("text-messaging-sender-registration", "status",
         {"action_required", "approved", "in_review", "rejected"}),
        ("translation", "channel", {"email", "mobile_push", "sms", "web", "whatsapp"}),
    ],
)  # fmt: skip
def test_variety_of_2026_10_15(
    account: Account, resource_type: str, path: str, values: set[Any]
) -> None:
    """In revision 2026-10-15 too, an attribute has all values that readers must distinguish."""
    resources = account.collections_of("2026-10-15")[resource_type]
    assert {value for one in resources for value in one.at(path)} == values


def test_canvas_campaigns(account: Account) -> None:
    """Some have messages of several channels, for several audiences, with several variations."""
    campaigns = [
        one
        for one in account.collections_of("2026-10-15")["campaign"]
        if one.attributes["definition"]["builder"] == "canvas"
    ]
    messages = [one.related("campaign-messages") for one in campaigns]
    channels = [
        {
            variation.attributes["definition"]["details"]["channel"]
            for message in some
            for variation in message.related("campaign-variations")
        }
        for some in messages
    ]
    assert max(map(len, channels)) == 4
    assert min(map(len, channels)) == 0
    assert {len(one.related("campaign-audiences")) for one in campaigns} == {1, 2}
    counts = {len(one.related("campaign-variations")) for some in messages for one in some}
    assert counts == {1, 2, 3}


@pytest.mark.parametrize(
    ("resource_type", "name"),
    [
        ("catalog-category", "name"),
        ("catalog-item", "custom_metadata"),
        ("catalog-item", "price"),
        ("catalog-item", "updated"),
        ("catalog-variant", "inventory_quantity"),
        ("coupon", "description"),
        ("coupon", "monitor_configuration"),
        ("coupon-code", "expires_at"),
        ("flow", "definition"),
        ("review", "content"),
        ("review", "public_reply"),
        ("review", "status"),
        ("segment", "definition"),
        ("segment", "updated"),
        ("template", "definition"),
        ("template", "updated"),
        ("template-universal-content", "definition"),
        ("web-feed", "status"),
        ("webhook", "created_at"),
    ],
)
def test_nulls(account: Account, resource_type: str, name: str) -> None:
    """A nullable attribute is null in some records."""
    values = _values(account, resource_type, name)
    assert None in values
    assert len(values) > 1


def test_actions(account: Account) -> None:
    """Flows have actions of most types with valid links, and messages of all channels."""
    actions = list(account.collections["flow-action"])
    types = {one.attributes["definition"]["type"] for one in actions}
    assert len(types) > 12
    known = {one.id for one in actions}
    links = [one.attributes["definition"]["links"] or {} for one in actions]
    assert {id for link in links for id in link.values() if id} <= known
    messages = [message for one in actions for message in one.related("flow-messages")]
    channels = {one.attributes["channel"] for one in messages}
    assert channels == {"email", "sms", "mobile_push", "whatsapp", "webhook", "internal_alert"}
    assert any(one.attributes["definition"] is None for one in messages)
    assert len({one.id for one in messages}) == len(messages)


def test_events_of_flows(account: Account) -> None:
    """Flow messages in event properties belong to the flow."""
    messages = set()
    for position in account.log.positions(None):
        properties = account.log.properties(position)
        if "$flow" in properties:
            messages.add((properties["$flow"], properties["$message"]))
    known = {
        (flow, message)
        for flow in account.ids("flow")
        for action in account.ids_under("flow", flow, "flow-actions")
        for message in account.ids_under("flow-action", action, "flow-messages")
    }
    assert len(messages) == 4
    assert messages <= known


def test_revenue(account: Account) -> None:
    """Revenue is mapped to Placed Order; one mapped metric has no metric."""
    mapped = {one.id: one for one in account.collections["mapped-metric"]}
    (order,) = mapped["revenue"].related("metric")
    assert order.attributes["name"] == "Placed Order"
    assert order.attributes["integration"]["category"] == "eCommerce"
    assert any(one.related("custom-metric") for one in mapped.values())
    assert any(not one.relationships for one in mapped.values())


def test_definitions(client: SandboxClient, account: Account) -> None:
    """Definitions are returned on request, and always for a single form."""
    flow, form = account.ids("flow")[0], account.ids("form")[1]
    assert "definition" not in client.get(f"/api/flows/{flow}").document["data"]["attributes"]
    asked = client.get(f"/api/flows/{flow}?additional-fields[flow]=definition").document["data"]
    assert len(asked["attributes"]["definition"]["actions"]) == 3
    shown = client.get(f"/api/forms/{form}").document["data"]["attributes"]["definition"]
    assert len(shown["versions"]) == 1
    assert "definition" not in client.get("/api/forms").document["data"][0]["attributes"]


def test_sample_values(client: SandboxClient, account: Account) -> None:
    """Metric properties are those of the metric's events; samples are returned on request."""
    metric = next(m for m in account.log.metrics if m.attributes["name"] == "Placed Order")
    path = f"/api/metrics/{metric.id}/metric-properties"
    properties = {one["attributes"]["property"] for one in client.get(path).document["data"]}
    assert properties == account.log.properties(account.log.positions(metric)[0]).keys()
    asked = client.get(f"{path}?additional-fields[metric-property]=sample_values").document["data"]
    assert any(one["attributes"]["sample_values"] for one in asked)


@pytest.mark.parametrize(
    ("resource_type", "relation", "path"),
    [
        ("campaign", "campaign-messages", "/api/campaigns/{id}/campaign-messages"),
        ("flow", "flow-actions", "/api/flows/{id}/flow-actions"),
        ("flow-action", "flow-messages", "/api/flow-actions/{id}/flow-messages"),
        ("form", "form-versions", "/api/forms/{id}/form-versions"),
        ("metric", "metric-properties", "/api/metrics/{id}/metric-properties"),
        ("object-type", "object-records", "/api/object-types/{id}/object-records"),
    ],
)
def test_deleted_parents(
    mutable_account: Account,
    make_client: Callable[[Account], SandboxClient],
    resource_type: str,
    relation: str,
    path: str,
) -> None:
    """The related records of a deleted parent return 404."""
    client = make_client(mutable_account)
    id = next(
        id
        for id in mutable_account.ids(resource_type)
        if mutable_account.ids_under(resource_type, id, relation)
    )
    assert client.get(path.replace("{id}", id)).ids
    mutable_account.remove(resource_type, id)
    assert client.get(path.replace("{id}", id)).status == 404


def test_deleted_grandparents(
    mutable_account: Account, make_client: Callable[[Account], SandboxClient]
) -> None:
    """Messages of a deleted flow's actions return 404."""
    client = make_client(mutable_account)
    flow = mutable_account.ids("flow")[0]
    action = mutable_account.ids_under("flow", flow, "flow-actions")[0]
    assert client.get(f"/api/flow-actions/{action}/flow-messages").ids
    mutable_account.remove("flow", flow)
    assert client.get(f"/api/flow-actions/{action}/flow-messages").status == 404
    assert flow not in client.ids("/api/flows")


@pytest.mark.parametrize(
    ("path", "wanted", "found"),
    [
        ("catalog-variants", "item.id", "item"),
        ("coupon-codes", "coupon.id", "coupon"),
        ("coupon-codes", "profile.id", "profile"),
        ("push-tokens", "profile.id", "profile"),
        ("reviews", "item.id", "item"),
    ],
)
def test_filter_by_related_id(
    client: SandboxClient, account: Account, path: str, wanted: str, found: str
) -> None:
    """Records can be filtered by the id of a related record."""
    resource_type = path.removesuffix("s")
    for one in account.collections[resource_type]:
        for other in one.related(found):
            response = client.get(f"/api/{path}", filter=f"equals({wanted},'{other.id}')")
            assert one.id in response.ids or response.document["links"]["next"]
            pointers = [one["relationships"][found]["data"] for one in response.document["data"]]
            assert {pointer["id"] for pointer in pointers} == {other.id}
            return
    pytest.fail(f"no {resource_type} has a {found}")


def test_suppressed_profiles_by_api(client: SandboxClient, account: Account) -> None:
    """A filter by date finds all suppressed profiles, as do filters by each reason."""
    field = "subscriptions.email.marketing.suppression"
    since = f"greater-or-equal({field}.timestamp,2000-01-01T00:00:00Z)"
    by_date = client.ids("/api/profiles", filter=since, sort=f"{field}.timestamp", page__size="100")
    assert len(by_date) == len(set(by_date))
    by_reason = {
        id
        for reason in REASONS
        for id in client.ids("/api/profiles", filter=f"equals({field}.reason,'{reason}')")
    }
    assert set(by_date) == by_reason == set(account.suppressed_profiles())


def test_list_suppressions(client: SandboxClient, account: Account) -> None:
    """Suppressions of a list are found by a filter on the list."""
    field = "subscriptions.email.marketing.list_suppressions.list_id"
    found = {
        id
        for list_id in account.list_ids()
        for id in client.ids("/api/profiles", filter=f"equals({field},'{list_id}')")
    }
    assert found
    assert found - set(account.suppressed_profiles())


def test_tags(client: SandboxClient) -> None:
    """Every tag is in a group; most groups are empty."""
    groups = {
        one["relationships"]["tag-group"]["data"]["id"]
        for page in client.pages("/api/tags", include="tag-group")
        for one in page.document["data"]
    }
    assert 1 < len(groups) < len(client.ids("/api/tag-groups"))
    assert len(client.get("/api/tag-groups", filter="equals(default,true)").ids) == 1


def test_a_shape_of_events_and_suppressions() -> None:
    """Events happen at the times of their role, and profiles are suppressed at the times given."""
    times = {"open": [1_700_000_000] * 3, "click": [1_700_000_001]}
    suppressions = [[1_600_000_000], [1_600_000_001, 1_650_000_000]] * 40
    account = Account.seeded(events=200, tame=True, times=times, suppressions=suppressions)
    assert len(account.event_ids(["Opened Email"], start=1_700_000_000, end=1_700_000_001)) == 3
    assert len(account.event_ids(["Clicked Email"], start=1_700_000_001, end=1_700_000_002)) == 1
    found = account.suppressed_profiles().values()
    assert sorted(map(len, found)) == [1] * 40 + [2] * 40
