"""Resource types of catalogs, reviews and coupons."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_CATALOG_ENTRY = """
    external_id title description price url image_full_url image_thumbnail_url images
    custom_metadata published created updated"""

COMMERCE: Mapping[str, ResourceType] = {
    "catalog-category": ResourceType(
        "catalog-categories",
        "catalogs:read",
        name_set("external_id name updated"),
        {"items": Relationship("catalog-item", many=True)},
    ),
    "catalog-item": ResourceType(
        "catalog-items",
        "catalogs:read",
        name_set(_CATALOG_ENTRY),
        {"variants": Relationship("catalog-variant", many=True)},
    ),
    "catalog-variant": ResourceType(
        "catalog-variants",
        "catalogs:read",
        name_set(f"{_CATALOG_ENTRY} sku inventory_policy inventory_quantity"),
        {"item": Relationship("catalog-item", always=True)},
    ),
    "coupon": ResourceType(
        "coupons",
        "coupons:read",
        name_set("external_id description monitor_configuration"),
    ),
    "coupon-code": ResourceType(
        "coupon-codes",
        "coupon-codes:read",
        name_set("unique_code expires_at status"),
        {
            "coupon": Relationship("coupon", always=True),
            "profile": Relationship("profile", always=True),
        },
    ),
    "review": ResourceType(
        "reviews",
        "reviews:read",
        name_set(
            """email status(value rejection_reason(reason status_explanation)) verified review_type
            created updated images product(url name image_url external_id) rating author content
            title smart_quote public_reply(content author updated)"""
        ),
        {
            "events": Relationship("event", many=True),
            "item": Relationship("catalog-item", always=True),
        },
    ),
}
