"""The catalog, its reviews, and coupons."""

from collections.abc import Mapping

from sandbox.resource_types.model import Kind, Relation, words

_WARE = """external_id title description price url image_full_url image_thumbnail_url images
    custom_metadata published created updated"""

COMMERCE: Mapping[str, Kind] = {
    "catalog-category": Kind(
        "catalog-categories",
        "catalogs:read",
        words("external_id name updated"),
        {"items": Relation("catalog-item", many=True)},
    ),
    "catalog-item": Kind(
        "catalog-items",
        "catalogs:read",
        words(_WARE),
        {"variants": Relation("catalog-variant", many=True)},
    ),
    "catalog-variant": Kind(
        "catalog-variants",
        "catalogs:read",
        words(f"{_WARE} sku inventory_policy inventory_quantity"),
        {"item": Relation("catalog-item", always=True)},
    ),
    "coupon": Kind(
        "coupons",
        "coupons:read",
        words("external_id description monitor_configuration"),
    ),
    "coupon-code": Kind(
        "coupon-codes",
        "coupon-codes:read",
        words("unique_code expires_at status"),
        {
            "coupon": Relation("coupon", always=True),
            "profile": Relation("profile", always=True),
        },
    ),
    "review": Kind(
        "reviews",
        "reviews:read",
        words(
            """email status(value rejection_reason(reason status_explanation)) verified review_type
            created updated images product(url name image_url external_id) rating author content
            title smart_quote public_reply(content author updated)"""
        ),
        {
            "events": Relation("event", many=True),
            "item": Relation("catalog-item", always=True),
        },
    ),
}
