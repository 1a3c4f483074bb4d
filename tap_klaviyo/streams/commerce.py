"""Rows of the registry: catalogs, coupons and reviews."""

from __future__ import annotations

from tap_klaviyo.streams.builders import children, id_of, listed
from tap_klaviyo.streams.model import PARENT, Parent, TimeFilter

COMMERCE = (
    listed(
        "catalog_items", "catalog_item", "Catalog items (products).", "XL", 100, "catalogs:read"
    ),
    listed(
        "catalog_variants",
        "catalog_variant",
        "Catalog variants: product variants such as sizes.",
        "XL",
        100,
        "catalogs:read",
        relationships=(id_of("item_id", "item", "catalog-item"),),
    ),
    listed(
        "catalog_categories",
        "catalog_category",
        "Catalog categories.",
        "XL",
        100,
        "catalogs:read",
    ),
    children(
        "catalog_category_items",
        "catalog_category_item",
        "Catalog items (products) in each catalog category.",
        "XL",
        100,
        "catalogs:read",
        path=f"/api/catalog-categories/{PARENT}/items",
        type="catalog-item",
        keys=("category_id", "item_id"),
        id_property="item_id",
        parent=Parent("catalog_categories", "category_id"),
    ),
    listed("coupons", "coupon", "Coupons.", "L", 100, "coupons:read"),
    listed(
        "coupon_codes",
        "coupon_code",
        "Coupon codes with the profile they are assigned to.",
        "XL",
        100,
        "coupon-codes:read",
        filters=(f"equals(coupon.id,{PARENT})",),
        scopes=("coupon-codes:read", "coupons:read"),
        parent=Parent("coupons", "coupon_id"),
        relationships=(id_of("profile_id", "profile"),),
    ),
    listed(
        "reviews",
        "review",
        "Product and store reviews, ratings and questions.",
        "M",
        100,
        "reviews:read",
        sort="created",
        time_filter=TimeFilter("created", upper="less-or-equal"),
        relationships=(id_of("item_id", "item", "catalog-item"),),
    ),
)
