"""Catalogs, coupons and reviews."""

from __future__ import annotations

from tap_klaviyo.streams.builders import id_of, listed
from tap_klaviyo.streams.model import PARENT, Cut, Parent

COMMERCE = (
    listed("catalog_items", "catalog_item", "Products.", "XL", 100, "catalogs:read"),
    listed(
        "catalog_variants",
        "catalog_variant",
        "Variants of products, such as sizes.",
        "XL",
        100,
        "catalogs:read",
        includes=(id_of("item_id", "item", "catalog-item"),),
    ),
    listed(
        "catalog_categories",
        "catalog_category",
        "Categories of products.",
        "XL",
        100,
        "catalogs:read",
    ),
    listed("coupons", "coupon", "Coupons.", "L", 100, "coupons:read"),
    listed(
        "coupon_codes",
        "coupon_code",
        "Codes of coupons, and who has them.",
        "XL",
        100,
        "coupon-codes:read",
        variants=(f"equals(coupon.id,{PARENT})",),
        scopes=("coupon-codes:read", "coupons:read"),
        parent=Parent("coupons", "coupon_id"),
        includes=(id_of("profile_id", "profile"),),
    ),
    listed(
        "reviews",
        "review",
        "Reviews of products.",
        "M",
        100,
        "reviews:read",
        sort="created",
        cut=Cut("created", upper="less-or-equal"),
        includes=(id_of("item_id", "item", "catalog-item"),),
    ),
)
