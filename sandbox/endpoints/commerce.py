"""Endpoints of catalogs, reviews and coupons."""

from collections.abc import Mapping

from sandbox.endpoints.model import XL, Endpoint, L, M, PageSize, parse_filter_fields
from sandbox.resource_types import name_set

_ITEM_FILTERS = parse_filter_fields(
    """
    ids          string   any
    category.id  string   equals
    title        string   contains
    published    boolean  equals
    """
)

COMMERCE: Mapping[str, Endpoint] = {
    "/api/catalog-categories": Endpoint(
        "catalog-category",
        XL,
        PageSize(100, 100),
        parse_filter_fields(
            """
            ids      string  any
            item.id  string  equals
            name     string  contains
            """
        ),
        sorts=name_set("created"),
    ),
    "/api/catalog-categories/{id}": Endpoint("catalog-category", XL, single=True),
    "/api/catalog-categories/{id}/items": Endpoint(
        "catalog-item",
        XL,
        PageSize(100, 100),
        _ITEM_FILTERS,
        sorts=name_set("created"),
        includes=name_set("variants"),
        parent="catalog-category",
        relationship="items",
    ),
    "/api/catalog-items": Endpoint(
        "catalog-item",
        XL,
        PageSize(100, 100),
        _ITEM_FILTERS,
        sorts=name_set("created"),
        includes=name_set("variants"),
    ),
    "/api/catalog-variants": Endpoint(
        "catalog-variant",
        XL,
        PageSize(100, 100),
        parse_filter_fields(
            """
            ids        string   any
            item.id    string   equals
            sku        string   equals
            title      string   contains
            published  boolean  equals
            """
        ),
        sorts=name_set("created"),
    ),
    "/api/coupon-codes": Endpoint(
        "coupon-code",
        XL,
        PageSize(100, 100),
        parse_filter_fields(
            """
            expires_at  datetime  range
            status      string    equals
            coupon.id   string    any equals
            profile.id  string    any equals
            """
        ),
        includes=name_set("coupon"),
        required_filters=name_set("coupon.id profile.id"),
    ),
    "/api/coupons": Endpoint("coupon", L, PageSize(100, 100)),
    "/api/coupons/{id}": Endpoint("coupon", L, single=True),
    "/api/reviews": Endpoint(
        "review",
        M,
        PageSize(20, 100),
        parse_filter_fields(
            """
            created      datetime  greater-or-equal less-or-equal
            rating       integer   any equals greater-or-equal less-or-equal
            id           string    any equals
            item.id      string    any equals
            content      string    contains
            status       string    equals
            review_type  string    equals
            verified     boolean   equals
            """
        ),
        sorts=name_set("created rating updated"),
        includes=name_set("events"),
    ),
}
