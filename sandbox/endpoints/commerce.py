"""The endpoints of the catalog, its reviews, and coupons."""

from collections.abc import Mapping

from sandbox.endpoints.model import XL, Endpoint, L, M, PageSize, filters
from sandbox.resource_types import words

COMMERCE: Mapping[str, Endpoint] = {
    "/api/catalog-categories": Endpoint(
        "catalog-category",
        XL,
        PageSize(100, 100),
        filters(
            """
            ids      string  any
            item.id  string  equals
            name     string  contains
            """
        ),
        sorts=words("created"),
    ),
    "/api/catalog-items": Endpoint(
        "catalog-item",
        XL,
        PageSize(100, 100),
        filters(
            """
            ids          string   any
            category.id  string   equals
            title        string   contains
            published    boolean  equals
            """
        ),
        sorts=words("created"),
        includes=words("variants"),
    ),
    "/api/catalog-variants": Endpoint(
        "catalog-variant",
        XL,
        PageSize(100, 100),
        filters(
            """
            ids        string   any
            item.id    string   equals
            sku        string   equals
            title      string   contains
            published  boolean  equals
            """
        ),
        sorts=words("created"),
    ),
    "/api/coupon-codes": Endpoint(
        "coupon-code",
        XL,
        PageSize(100, 100),
        filters(
            """
            expires_at  datetime  range
            status      string    equals
            coupon.id   string    any equals
            profile.id  string    any equals
            """
        ),
        includes=words("coupon"),
        required=words("coupon.id profile.id"),
    ),
    "/api/coupons": Endpoint("coupon", L, PageSize(100, 100)),
    "/api/reviews": Endpoint(
        "review",
        M,
        PageSize(20, 100),
        filters(
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
        sorts=words("created rating updated"),
        includes=words("events"),
    ),
}
