"""All endpoints, read with Klaviyo's SDK."""

from __future__ import annotations

from typing import Any

import pytest
from klaviyo_api import KlaviyoAPI
from klaviyo_sdk import all_pages, ids, method, parsed

from sandbox import Account
from sandbox.endpoints import ENDPOINTS

COLLECTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("Catalogs.get_catalog_categories", "catalog-category", {"sort": "-created"}),
    ("Catalogs.get_catalog_items", "catalog-item", {"include": ["variants"]}),
    ("Catalogs.get_catalog_variants", "catalog-variant", {"sort": "created"}),
    ("Coupons.get_coupons", "coupon", {"page_size": 50}),
    ("Custom_Objects.get_data_sources", "data-source", {}),
    ("Forms.get_forms", "form", {"sort": "updated_at"}),
    ("Images.get_images", "image", {"sort": "-size"}),
    ("Profiles.get_push_tokens", "push-token", {"include": ["profile"]}),
    ("Reviews.get_reviews", "review", {"include": ["events"], "sort": "rating"}),
    ("Segments.get_segments", "segment", {"include": ["tags", "flow-triggers"]}),
    ("Tags.get_tag_groups", "tag-group", {"sort": "name"}),
    ("Tags.get_tags", "tag", {"include": ["tag-group"], "sort": "-name"}),
    ("Templates.get_all_universal_content", "template-universal-content", {"sort": "updated"}),
    ("Templates.get_templates", "template", {"additional_fields_template": ["definition"]}),
    ("Tracking_Settings.get_tracking_settings", "tracking-setting", {}),
    ("Web_Feeds.get_web_feeds", "web-feed", {"sort": "name"}),
]

UNPAGED: list[tuple[str, str, dict[str, Any]]] = [
    ("Custom_Objects.get_object_types", "object-type", {"include": ["current-schema"]}),
    ("Metrics.get_custom_metrics", "custom-metric", {"include": ["metrics"]}),
    ("Metrics.get_mapped_metrics", "mapped-metric", {"include": ["metric", "custom-metric"]}),
    ("Webhooks.get_webhook_topics", "webhook-topic", {}),
    ("Webhooks.get_webhooks", "webhook", {"include": ["webhook-topics"]}),
]

CHILDREN: list[tuple[str, str, str, dict[str, Any]]] = [
    ("Catalogs.get_items_for_catalog_category", "catalog-category", "items", {"sort": "created"}),
    ("Flows.get_actions_for_flow", "flow", "flow-actions", {"sort": "created"}),
    ("Flows.get_messages_for_flow_action", "flow-action", "flow-messages", {"page_size": 2}),
    ("Forms.get_versions_for_form", "form", "form-versions", {"page_size": 2}),
    ("Lists.get_profiles_for_list", "list", "profiles", {"page_size": 100}),
    ("Segments.get_profiles_for_segment", "segment", "profiles", {"sort": "-joined_group_at"}),
    ("Custom_Objects.get_records_for_object_type", "object-type", "object-records", {}),
    (
        "Custom_Objects.get_ingestion_logs_for_object_type",
        "object-type",
        "object-ingestion-logs",
        {"include": ["object-type", "object-record"]},
    ),
]

UNPAGED_CHILDREN: list[tuple[str, str, str, dict[str, Any]]] = [
    ("Campaigns.get_messages_for_campaign", "campaign", "campaign-messages",
     {"include": ["campaign", "template", "image"]}),
    ("Custom_Objects.get_schema_versions_for_object_type", "object-type", "schema-versions", {}),
    ("Metrics.get_properties_for_metric", "metric", "metric-properties", {}),
]  # fmt: skip

SINGLE: list[tuple[str, str, dict[str, Any]]] = [
    ("Campaigns.get_campaign", "campaign", {"include": ["campaign-messages", "tags"]}),
    ("Campaigns.get_campaign_recipient_estimation", "campaign-recipient-estimation", {}),
    ("Catalogs.get_catalog_category", "catalog-category", {}),
    ("Coupons.get_coupon", "coupon", {}),
    ("Custom_Objects.get_object_record", "object-record", {}),
    ("Custom_Objects.get_object_schema", "object-schema", {"include": ["source-mapping"]}),
    ("Custom_Objects.get_object_type", "object-type", {"include": ["schema-versions"]}),
    ("Custom_Objects.get_source_mapping", "source-mapping", {}),
    ("Flows.get_flow_action", "flow-action", {}),
    ("Flows.get_flow", "flow", {"include": ["flow-actions", "tags"]}),
    ("Forms.get_form", "form", {}),
    ("Lists.get_list", "list", {"additional_fields_list": ["profile_count"]}),
    ("Metrics.get_metric", "metric", {}),
    ("Segments.get_segment", "segment", {"additional_fields_segment": ["profile_count"]}),
]

SINGLE_CHILDREN = [
    ("Custom_Objects.get_current_schema_for_object_type", "object-type", "current-schema"),
    ("Custom_Objects.get_draft_schema_for_object_type", "object-type", "draft-schema"),
    ("Custom_Objects.get_source_mapping_for_object_schema", "object-schema", "source-mapping"),
]

ELSEWHERE = {
    "/api/accounts", "/api/campaigns", "/api/coupon-codes", "/api/events", "/api/flows",
    "/api/lists", "/api/metrics", "/api/profiles",
}  # fmt: skip
"""Endpoints that other tests all_pages."""


@pytest.mark.parametrize(("name", "resource_type", "options"), COLLECTIONS)
def test_collections(
    sdk: KlaviyoAPI, account: Account, name: str, resource_type: str, options: dict[str, Any]
) -> None:
    """The pages of a collection have every record once."""
    pages = all_pages(method(sdk, name), **options)
    assert len(pages) > 1 or resource_type == "tracking-setting"
    assert sorted(ids(pages)) == sorted(account.ids(resource_type))
    assert "include" not in options or resource_type == "review" or parsed(pages)


@pytest.mark.parametrize(("name", "resource_type", "options"), UNPAGED)
def test_unpaged(
    sdk: KlaviyoAPI, account: Account, name: str, resource_type: str, options: dict[str, Any]
) -> None:
    """A collection without pages has all records."""
    page = method(sdk, name)(**options)
    assert sorted(ids([page])) == sorted(account.ids(resource_type))
    assert "include" not in options or page.included


@pytest.mark.parametrize(("name", "resource_type", "relation", "options"), CHILDREN)
def test_children(
    sdk: KlaviyoAPI,
    account: Account,
    name: str,
    resource_type: str,
    relation: str,
    options: dict[str, Any],
) -> None:
    """The related records of each parent; some need several pages, some are empty."""
    lengths = set()
    for id in account.ids(resource_type):
        pages = all_pages(method(sdk, name), id, **options)
        assert sorted(ids(pages)) == sorted(account.ids_under(resource_type, id, relation))
        lengths.add(len(pages) if pages[0].data else 0)
    assert max(lengths) > 1
    assert min(lengths) == 0


@pytest.mark.parametrize(("name", "resource_type", "relation", "options"), UNPAGED_CHILDREN)
def test_unpaged_children(
    sdk: KlaviyoAPI,
    account: Account,
    name: str,
    resource_type: str,
    relation: str,
    options: dict[str, Any],
) -> None:
    """The related records of each parent at endpoints without pages."""
    found = 0
    for id in account.ids(resource_type)[:60]:
        page = method(sdk, name)(id, **options)
        assert sorted(ids([page])) == sorted(account.ids_under(resource_type, id, relation))
        found += len(page.data)
    assert found


@pytest.mark.parametrize(("name", "resource_type", "options"), SINGLE)
def test_single(
    sdk: KlaviyoAPI, account: Account, name: str, resource_type: str, options: dict[str, Any]
) -> None:
    """Records of a type by id."""
    for id in account.ids(resource_type)[:40]:
        assert method(sdk, name)(id, **options).data.id == id


@pytest.mark.parametrize(("name", "resource_type", "relation"), SINGLE_CHILDREN)
def test_single_children(
    sdk: KlaviyoAPI, account: Account, name: str, resource_type: str, relation: str
) -> None:
    """To-one related records, which may be null."""
    for id in account.ids(resource_type):
        data = method(sdk, name)(id).data
        assert ([data.id] if data else []) == account.ids_under(resource_type, id, relation)


def test_flows(sdk: KlaviyoAPI, account: Account) -> None:
    """Flows by `archived`; by default only those that are not archived."""
    found = {
        archived: ids(
            all_pages(
                sdk.Flows.get_flows,
                filter=f"equals(archived,{archived})",
                include=["flow-actions", "tags"],
            )
        )
        for archived in ("true", "false")
    }
    assert all(found.values())
    assert sorted(found["true"] + found["false"]) == sorted(account.ids("flow"))
    assert sorted(ids(all_pages(sdk.Flows.get_flows))) == sorted(found["false"])


def test_coupon_codes(sdk: KlaviyoAPI, account: Account) -> None:
    """The codes of each coupon."""
    for id in account.ids("coupon"):
        text = f'equals(coupon.id,"{id}")'
        pages = all_pages(sdk.Coupons.get_coupon_codes, text, include=["coupon"])
        assert sorted(ids(pages)) == sorted(account.ids_under("coupon", id, "coupon-codes"))
        assert len(pages) == 3 or len(ids(pages)) < 100


def test_every_endpoint(account: Account) -> None:
    """The tests above cover all endpoints."""
    resource_types = {resource_type for _, resource_type, _ in COLLECTIONS + UNPAGED}
    children = {
        (resource_type, relation) for _, resource_type, relation, _ in CHILDREN + UNPAGED_CHILDREN
    }
    children |= {(resource_type, relation) for _, resource_type, relation in SINGLE_CHILDREN}
    single = {resource_type for _, resource_type, _ in SINGLE}
    for path, endpoint in ENDPOINTS.items():
        if endpoint.parent:
            assert (endpoint.parent, endpoint.relationship) in children
        elif endpoint.single:
            assert endpoint.resource_type in single
        else:
            assert endpoint.resource_type in resource_types or path in ELSEWHERE
