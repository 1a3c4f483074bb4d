"""Parameters, scopes and rate limits of each endpoint, as in Klaviyo's API reference."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sandbox_client import NOW, SandboxClient

from sandbox import Account
from sandbox.endpoints import ENDPOINTS, ENDPOINTS_OF

SINCE = "2020-01-01T00:00:00Z"
ITEM = "$custom:::$default:::FLOWER-1"

# The resource type of the id in a path.
PARENTS = {
    "campaign-recipient-estimations": "campaign-recipient-estimation",
    "campaigns": "campaign",
    "catalog-categories": "catalog-category",
    "flow-actions": "flow-action",
    "flows": "flow",
    "forms": "form",
    "lists": "list",
    "metrics": "metric",
    "object-records": "object-record",
    "object-schemas": "object-schema",
    "object-types": "object-type",
    "segments": "segment",
    "source-mappings": "source-mapping",
}


@pytest.fixture
def url(account: Account) -> Callable[[str], str]:
    """Makes a URL from a path, replacing `{id}` by an id of the account."""

    def filled(path: str) -> str:
        if "{id}" not in path:
            return f"/api/{path}"
        return f"/api/{path}".replace("{id}", account.ids(PARENTS[path.split("/")[0]])[0])

    return filled


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("campaigns/{id}/campaign-messages", "include=campaign,template,image"),
        ("campaigns/{id}/campaign-messages", "fields[template]=name&include=template"),
        (
            "campaign-recipient-estimations/{id}",
            "fields[campaign-recipient-estimation]=estimated_recipient_count",
        ),
        ("catalog-categories/{id}", "fields[catalog-category]=name"),
        ("catalog-categories/{id}/items", f"filter=any(ids,['{ITEM}'])&sort=-created&page[size]=9"),
        ("catalog-categories/{id}/items", "fields[catalog-item]=title&include=variants"),
        ("catalog-categories", f"filter=equals(item.id,'{ITEM}')&sort=-created&page[size]=100"),
        ("catalog-items", f"filter=any(ids,['{ITEM}']),equals(published,true)&include=variants"),
        ("catalog-items", "filter=equals(category.id,'$custom:::$default:::CAT-1')"),
        ("catalog-variants", "filter=equals(sku,'SKU-FLOWER-1-S'),contains(title,'S')"),
        ("coupon-codes", "filter=any(coupon.id,['COUPON-1','COUPON-2'])&include=coupon"),
        ("coupon-codes", f"filter=equals(profile.id,'x'),greater-than(expires_at,{SINCE})"),
        ("coupons", "page[size]=100&fields[coupon]=monitor_configuration"),
        ("custom-metrics", "include=metrics&fields[custom-metric]=definition.metric_groups"),
        ("data-sources", "page[size]=100"),
        ("flow-actions/{id}/flow-messages", "filter=starts-with(name,'email')&sort=-name"),
        ("flow-actions/{id}/flow-messages", "fields[flow-message]=definition.subject_line"),
        ("flows", f"filter=equals(updated,{SINCE}),ends-with(name,'cart')&sort=trigger_type"),
        ("flows", "filter=equals(archived,true),equals(status,'live')&include=tags,flow-actions"),
        ("flows/{id}", "additional-fields[flow]=definition&fields[flow]=definition.triggers"),
        ("flows/{id}/flow-actions", "filter=any(action_type,['SEND_EMAIL'])&sort=-action_type"),
        ("flows/{id}/flow-actions", "fields[flow-action]=definition.data.message.template_id"),
        ("forms", "filter=equals(ab_test,true),contains(name,'Form')&sort=-updated_at"),
        ("forms/{id}", "fields[form]=definition.versions"),
        ("forms/{id}/form-versions", "filter=any(form_type,['popup','banner'])"),
        ("images", "filter=greater-than(size,4000000000),any(hidden,[true,false])"),
        ("images", "filter=any(format,['png']),ends-with(name,'png')&sort=size&page[size]=100"),
        ("lists/{id}", "additional-fields[list]=profile_count&include=tags,flow-triggers"),
        ("lists/{id}/profiles", f"filter=greater-or-equal(joined_group_at,{SINCE})"),
        ("lists/{id}/profiles", "sort=-joined_group_at&additional-fields[profile]=subscriptions"),
        ("lists/{id}/profiles", "filter=any(push_token,['x'])&fields[profile]=joined_group_at"),
        ("mapped-metrics", "include=metric,custom-metric&fields[mapped-metric]=updated"),
        ("metrics/{id}/metric-properties", "additional-fields[metric-property]=sample_values"),
        ("object-schemas/{id}", "include=source-mapping"),
        (
            "object-schemas/{id}",
            "fields[object-schema]=title,meta.name&include=object-schemas,profile-object-schemas",
        ),
        ("object-types", "filter=equals(namespace,'custom-objects')&include=draft-schema"),
        ("object-types/{id}", "include=current-schema,draft-schema,schema-versions"),
        (
            "object-types/{id}",
            "include=object-types,profile-object-types&fields[profile-object-type]=meta",
        ),
        (
            "object-types/{id}/object-ingestion-logs",
            f"filter=any(status,['error']),less-than(timestamp,{SINCE})&include=object-record",
        ),
        ("object-types/{id}/object-records", "page[size]=100&fields[object-record]=id"),
        ("push-tokens", "filter=equals(platform,'ios')&include=profile&fields[profile]=email"),
        ("reviews", "filter=any(rating,[4,5]),equals(status,'published')&include=events"),
        ("reviews", f"filter=equals(item.id,'{ITEM}'),less-or-equal(created,{SINCE})"),
        ("segments", "filter=any(is_active,[true]),equals(is_starred,false)&include=tags"),
        ("segments", "fields[segment]=definition.condition_groups&sort=-updated&page[size]=10"),
        ("segments/{id}/profiles", "filter=any(profile_id,['x'])&page[size]=100"),
        ("tag-groups", "filter=equals(default,true),equals(exclusive,false)&sort=-id"),
        ("tags", "filter=starts-with(name,'tag')&include=tag-group&fields[tag-group]=default"),
        ("template-universal-content", "filter=equals(definition.type,'html')&sort=created"),
        ("templates", "filter=contains(name,'1')&additional-fields[template]=definition"),
        ("tracking-settings", "fields[tracking-setting]=utm_source.campaign.value&page[size]=1"),
        ("web-feeds", f"filter=greater-or-equal(updated,{SINCE})&sort=-name&page[size]=20"),
        ("webhook-topics", "fields[webhook-topic]=id"),
        ("webhooks", "include=webhook-topics&fields[webhook]=enabled"),
    ],
)
def test_allowed(client: SandboxClient, url: Callable[[str], str], path: str, query: str) -> None:
    """Allowed parameters return 200."""
    response = client.get(f"{url(path)}?{query}")
    assert response.status == 200, response.document


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("campaigns/{id}/campaign-messages", "page[cursor]=x", "page[cursor]"),
        ("campaigns/{id}/campaign-messages", "include=tags", "include"),
        ("catalog-categories", "sort=updated", "sort"),
        ("catalog-items", f"filter=greater-than(updated,{SINCE})", "filter"),
        ("catalog-categories/{id}", "page[size]=1", "page[size]"),
        ("catalog-categories/{id}/items", "page[size]=101", "page[size]"),
        ("catalog-categories/{id}/items", "sort=title", "sort"),
        ("catalog-items", "filter=equals(ids,'x')", "filter"),
        ("catalog-variants", "page[size]=101", "page[size]"),
        ("coupon-codes", "", "filter"),
        ("coupon-codes", "filter=equals(status,'USED')", "filter"),
        ("coupon-codes", "filter=equals(coupon.id,'x')&include=profile", "include"),
        ("coupons", "filter=equals(id,'x')", "filter"),
        ("custom-metrics", "page[size]=10", "page[size]"),
        ("data-sources", "sort=title", "sort"),
        ("flow-actions/{id}/flow-messages", "filter=equals(channel,'email')", "filter"),
        ("flow-actions/{id}/flow-messages", "page[size]=51", "page[size]"),
        ("flows", "filter=equals(id,'x')", "filter"),
        ("flows", "additional-fields[flow]=definition", "additional-fields[flow]"),
        ("flows", "fields[flow]=definition", "fields[flow]"),
        ("flows/{id}", "filter=equals(status,'live')", "filter"),
        ("flows/{id}/flow-actions", "include=flow-messages", "include"),
        ("forms", "sort=name", "sort"),
        ("forms", "fields[form]=definition", "fields[form]"),
        ("forms/{id}/form-versions", "include=form", "include"),
        ("images", "filter=equals(size,1)", "filter"),
        ("images", "page[size]=101", "page[size]"),
        ("lists", "additional-fields[list]=profile_count", "additional-fields[list]"),
        ("lists/{id}", "page[size]=1", "page[size]"),
        ("lists/{id}/profiles", "sort=updated", "sort"),
        ("lists/{id}/profiles", "filter=equals(profile_id,'x')", "filter"),
        ("lists/{id}/profiles", f"filter=equals(joined_group_at,{SINCE})", "filter"),
        ("lists/{id}/profiles", "filter=greater-than(joined_group_at,2030-01-01T00:00:00Z)",
         "filter"),
        ("lists/{id}/profiles", "include=push-tokens", "include"),
        ("mapped-metrics", "filter=equals(id,'revenue')", "filter"),
        ("metrics/{id}/metric-properties", "fields[metric-property]=name",
         "fields[metric-property]"),
        ("object-types", "filter=equals(title,'Pet')", "filter"),
        ("object-types", "include=object-types", "include"),
        ("object-types", "fields[object-type]=meta", "fields[object-type]"),
        ("object-types", "include=schema-versions", "include"),
        ("object-types/{id}/object-ingestion-logs", "page[size]=50", "page[size]"),
        ("object-types/{id}/object-records", "filter=equals(id,'x')", "filter"),
        ("profiles", "fields[profile]=joined_group_at", "fields[profile]"),
        ("push-tokens", "sort=created", "sort"),
        ("reviews", f"filter=greater-than(created,{SINCE})", "filter"),
        ("reviews", f"filter=greater-or-equal(updated,{SINCE})", "filter"),
        ("segments", "page[size]=11", "page[size]"),
        ("segments", "filter=equals(is_active,'true')", "filter"),
        ("segments", "include=profiles", "include"),
        ("tag-groups", "include=tags", "include"),
        ("tags", "filter=equals(id,'x')", "filter"),
        ("tags", "include=lists", "include"),
        ("template-universal-content", "filter=contains(name,'x')", "filter"),
        ("templates", "page[size]=11", "page[size]"),
        ("templates", "fields[template]=definition.colour", "fields[template]"),
        ("tracking-settings", "page[size]=2", "page[size]"),
        ("web-feeds", "page[size]=21", "page[size]"),
        ("web-feeds", "sort=id", "sort"),
        ("webhooks", "page[cursor]=x", "page[cursor]"),
    ],
)  # fmt: skip
def test_refused(
    client: SandboxClient, url: Callable[[str], str], path: str, query: str, parameter: str
) -> None:
    """Disallowed parameters return 400 and the error names the parameter."""
    response = client.get(f"{url(path)}?{query}")
    assert response.status == 400, response.document
    assert response.error["source"] == {"parameter": parameter}


@pytest.mark.parametrize(
    ("path", "burst", "scopes"),
    [
        ("campaigns/{id}/campaign-messages", 10, "campaigns"),
        ("campaign-recipient-estimations/{id}", 10, "campaigns"),
        ("catalog-categories", 350, "catalogs"),
        ("catalog-categories/{id}", 350, "catalogs"),
        ("catalog-categories/{id}/items", 350, "catalogs"),
        ("catalog-items", 350, "catalogs"),
        ("catalog-variants", 350, "catalogs"),
        ("coupon-codes?filter=equals(coupon.id,'x')", 350, "coupon-codes"),
        ("coupons", 75, "coupons"),
        ("custom-metrics", 3, "metrics"),
        ("data-sources", 3, "custom-objects"),
        ("flow-actions/{id}/flow-messages", 3, "flows"),
        ("flows", 3, "flows"),
        ("flows/{id}", 3, "flows"),
        ("flows/{id}/flow-actions", 3, "flows"),
        ("forms", 3, "forms"),
        ("forms/{id}", 3, "forms"),
        ("forms/{id}/form-versions", 3, "forms"),
        ("images", 10, "images"),
        ("lists/{id}", 75, "lists"),
        ("lists/{id}?additional-fields[list]=profile_count", 1, "lists"),
        ("lists/{id}/profiles", 75, "lists profiles"),
        ("lists/{id}/profiles?additional-fields[profile]=predictive_analytics", 10,
         "lists profiles"),
        ("mapped-metrics", 3, "metrics"),
        ("metrics/{id}/metric-properties", 1, "metrics"),
        ("object-records/{id}", 3, "custom-objects"),
        ("object-schemas/{id}", 3, "custom-objects"),
        ("object-schemas/{id}/source-mapping", 3, "custom-objects"),
        ("object-types", 3, "custom-objects"),
        ("object-types/{id}", 3, "custom-objects"),
        ("object-types/{id}/current-schema", 3, "custom-objects"),
        ("object-types/{id}/draft-schema", 3, "custom-objects"),
        ("object-types/{id}/object-ingestion-logs", 1, "custom-objects"),
        ("object-types/{id}/object-records", 3, "custom-objects"),
        ("object-types/{id}/schema-versions", 3, "custom-objects"),
        ("push-tokens", 10, "push-tokens profiles"),
        ("reviews", 10, "reviews"),
        ("segments", 75, "segments"),
        ("segments/{id}", 75, "segments"),
        ("segments/{id}?additional-fields[segment]=profile_count", 1, "segments"),
        ("segments/{id}/profiles", 75, "segments profiles"),
        ("source-mappings/{id}", 3, "custom-objects"),
        ("tag-groups", 3, "tags"),
        ("tags", 3, "tags"),
        ("tags?include=tag-group", 3, "tags"),
        ("template-universal-content", 75, "templates"),
        ("templates", 75, "templates"),
        ("tracking-settings", 10, "tracking-settings"),
        ("web-feeds", 1, "web-feeds"),
        ("webhook-topics", 1, "webhooks"),
        ("webhooks", 1, "webhooks"),
    ],
)  # fmt: skip
def test_limits_and_scopes(
    account: Account,
    make_client: Callable[..., SandboxClient],
    url: Callable[[str], str],
    path: str,
    burst: int,
    scopes: str,
) -> None:
    """Each endpoint enforces its burst limit and requires all its scopes."""
    needed = {f"{name}:read" for name in scopes.split()}
    client = make_client(account, scopes=needed, limits=1.0)
    statuses = [client.get(url(path)).status for _ in range(burst + 1)]
    assert statuses == [200] * burst + [429]
    for missing in needed:
        refused = make_client(account, scopes=needed - {missing}).get(url(path))
        assert refused.status == 403
        assert missing in refused.error["detail"]


@pytest.mark.parametrize("path", [path for path in ENDPOINTS if "{id}" in path])
def test_unknown_ids(client: SandboxClient, path: str) -> None:
    """Unknown ids return 404."""
    response = client.get(path.replace("{id}", "nothing"))
    assert (response.status, response.error["code"]) == (404, "not_found")


def test_limits_are_shared(account: Account, make_client: Callable[..., SandboxClient]) -> None:
    """All parents share the rate limit of an endpoint."""
    client = make_client(account, limits=1.0)
    paths = [f"/api/flows/{id}/flow-actions" for id in account.ids("flow")[:4]]
    assert [client.get(path).status for path in paths] == [200, 200, 200, 429]


@pytest.mark.parametrize("revision", ENDPOINTS_OF)
def test_same_documents(make_client: Callable[..., SandboxClient], revision: str) -> None:
    """The same seed and time give the same documents at all endpoints."""
    one, other = (make_client(Account.seeded(3, events=200, now=NOW), revision) for _ in range(2))
    needed = {
        "/api/campaigns": "equals(messages.channel,'email')",
        "/api/coupon-codes": "equals(coupon.id,'COUPON-1')",
    }
    for path, endpoint in ENDPOINTS_OF[revision].items():
        query = {"filter": needed[path]} if endpoint.required_filters else {}
        if endpoint.includes:
            query["include"] = ",".join(sorted(endpoint.includes))
        assert one.get(path, **query).document == other.get(path, **query).document, path
