"""Helper functions for Klaviyo's Python SDK: its models, and pagination."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args, get_origin
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel

MODELS = {
    "account": "account_response_object_resource",
    "attribution": None,
    "campaign": "campaign_response_object_resource",
    "campaign-message": "campaign_message_response_object_resource",
    "campaign-recipient-estimation": "campaign_recipient_estimation_response_object_resource",
    "catalog-category": "catalog_category_response_object_resource",
    "catalog-item": "catalog_item_response_object_resource",
    "catalog-variant": "catalog_variant_response_object_resource",
    "conversation": "conversation_response_object_resource",
    "coupon": "coupon_response_object_resource",
    "coupon-code": "coupon_code_response_object_resource",
    "custom-metric": "custom_metric_response_object_resource",
    "data-source": "data_source_response_object_resource",
    "event": "event_response_object_resource",
    "flow": "flow_v2_response_object_resource_extended",
    "flow-action": "flow_action_encoded_response_object_resource",
    "flow-message": "flow_message_encoded_response_object_resource",
    "form": "encoded_form_response_object_resource",
    "form-version": "form_version_response_object_resource",
    "image": "image_response_object_resource",
    "list": "list_retrieve_response_object_resource_extended",
    "mapped-metric": "mapped_metric_response_object_resource",
    "metric": "metric_response_object_resource",
    "metric-property": "metric_property_response_object_resource_extended",
    "object-ingestion-log": "ingestion_log_response_object_resource",
    "object-record": "object_record_response_object_resource",
    "object-schema": "object_schema_response_object_resource",
    "object-type": "object_type_response_object_resource",
    "profile": """profile_response_plural_conversations_object_resource_extended
        list_member_response_object_resource_extended""",
    "profile-object-schema": None,
    "profile-object-type": None,
    "push-token": "push_token_response_object_resource",
    "review": "review_response_dto_object_resource",
    "segment": "segment_retrieve_response_object_resource_extended",
    "source-mapping": "source_mapping_response_object_resource",
    "tag": "tag_response_object_resource",
    "tag-group": "tag_group_response_object_resource",
    "template": "template_dnd_response_object_resource_extended",
    "template-universal-content": "universal_content_response_object_resource",
    "tracking-setting": "tracking_setting_response_object_resource",
    "web-feed": "web_feed_response_object_resource",
    "webhook": "webhook_response_object_resource",
    "webhook-topic": None,
}
"""The client's modules by resource type, the usual one first; None for types without a model."""


def models(resource_type: str) -> list[Any]:
    """The SDK's model classes of a resource type."""
    found = []
    for name in (MODELS[resource_type] or "").split():
        module = vars(importlib.import_module(f"openapi_client.models.{name}"))
        wanted = name.replace("_", "")
        found += [one for title, one in module.items() if title.lower() == wanted]
    return found


def method(sdk: Any, name: str) -> Callable[..., Any]:
    """A method of the SDK by its dotted name."""
    area, _, verb = name.partition(".")
    found: Callable[..., Any] = getattr(getattr(sdk, area), verb)
    return found


def all_pages(call: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
    """All pages of a method of the SDK."""
    pages = [call(*arguments, **options)]
    while cursor := _next_cursor(pages[-1]):
        pages.append(call(*arguments, page_cursor=cursor, **options))
    return pages


def ids(pages: Iterable[Any]) -> list[str]:
    """The ids of all records."""
    return [record.id for page in pages for record in page.data]


def parsed(pages: Iterable[Any]) -> list[Any]:
    """The included resources as models.

    The SDK leaves them unparsed if they can have several types.
    """
    included = [one for page in pages for one in page.included]
    return [
        one if isinstance(one, BaseModel) else models(one["type"])[0].from_dict(one)
        for one in included
        if isinstance(one, BaseModel) or MODELS[one["type"]]
    ]


def fields(annotation: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names and annotations of a model's attributes; does not enter lists."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            dotted = prefix + (field.alias or name)
            yield dotted, field.annotation
            if not may_be(list, field.annotation):
                yield from fields(field.annotation, f"{dotted}.")
    for part in get_args(annotation):
        yield from fields(part, prefix)


def may_be(origin: type, annotation: Any) -> bool:
    """Whether an annotation is, or contains, the generic type `origin`."""
    return any(get_origin(one) is origin for one in (annotation, *get_args(annotation)))


def _next_cursor(page: Any) -> str | None:
    links = page["links"] if isinstance(page, dict) else page.links.to_dict()
    link = links.get("next")
    return parse_qs(urlsplit(link).query)["page[cursor]"][0] if link else None
