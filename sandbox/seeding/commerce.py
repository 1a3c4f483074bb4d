"""Seeds catalogs, reviews and coupons."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.random_values import created_and_updated, iso, random_id

_ITEMS, _CATEGORIES, _REVIEWS, _COUPONS, _CODES = 240, 130, 150, 105, 260
_LARGE_CATEGORY, _ITEMS_IN_LARGE_CATEGORY = 9, 130
_FLOWERS = ("Tulpe", "Rose", "牡丹", "Ranunkel 🌷", "Lily & Co.")
_ASSIGNERS = (
    None,
    {"used": "ALWAYS_ASSIGN", "unused_expired": "NEVER_ASSIGN"},
    {"used": "ASSIGN_IF_EXPIRED", "unused_expired": "ALWAYS_ASSIGN"},
    {"used": "NEVER_ASSIGN", "unused_expired": "NEVER_ASSIGN"},
)
_STATUSES: tuple[dict[str, Any] | None, ...] = (
    {"value": "published"},
    {"value": "featured"},
    {"value": "pending"},
    {"value": "unpublished"},
    {"value": "rejected", "rejection_reason": {"reason": "fake"}},
    {
        "value": "rejected",
        "rejection_reason": {"reason": "other", "status_explanation": "Not in a language of ours"},
    },
    None,
)


def make_catalog(
    rng: random.Random, now: datetime
) -> tuple[list[Resource], list[Resource], list[Resource]]:
    """Items, their variants (up to four each) and categories; several pages of each.

    One category contains more items than fit on a page, some contain none.
    """
    items = [_item(rng, number, now) for number in range(_ITEMS)]
    variants = [
        _variant(rng, item, place)
        for number, item in enumerate(items)
        for place in range(number % 5)
    ]
    for item in items:
        item.relationships["variants"] = []
    for variant in variants:
        variant.related("item")[0].relationships["variants"].append(variant)
    categories = []
    for number in range(_CATEGORIES):
        contained = rng.sample(items, number % 9)
        if number == _LARGE_CATEGORY:
            contained = items[:_ITEMS_IN_LARGE_CATEGORY]
        category = Resource(
            "catalog-category",
            _catalog_id(f"CAT-{number}"),
            {
                "external_id": f"CAT-{number}",
                "name": f"Blumen {number}" if number != 4 else None,
                "updated": created_and_updated(rng, now)[1],
            },
            {"items": contained},
            hidden={
                "ids": _catalog_id(f"CAT-{number}"),
                "created": created_and_updated(rng, now)[0],
                "item": [{"id": item.id} for item in contained],
            },
        )
        categories.append(category)
        for item in contained:
            item.hidden["category"].append({"id": category.id})
    return items, variants, categories


def make_reviews(rng: random.Random, now: datetime, items: Sequence[Resource]) -> list[Resource]:
    """Reviews, ratings and questions about items, and reviews of the store."""
    reviews = []
    for number in range(_REVIEWS):
        created, updated = created_and_updated(rng, now)
        item = rng.choice(items) if number % 8 else None
        type = ("review", "review", "rating", "question")[number % 4] if item else "store"
        status = _STATUSES[number % len(_STATUSES)]
        attributes = {
            "email": f"person.{number}+news@example.com" if number % 6 else None,
            "status": status,
            "verified": number % 3 == 0,
            "review_type": type,
            "created": created,
            "updated": updated,
            "images": [f"https://images.example.com/review/{number}.jpg"] if number % 5 else [],
            "product": _product(item) if item else None,
            "rating": None if type == "question" else 1 + number % 5,
            "author": rng.choice(("Ada", "由美", None)),
            "content": None if type == "rating" else f'So "schön"!\nWieder {number}× 🌷',
            "title": "Gerne wieder" if number % 2 else None,
            "smart_quote": "Gerne wieder" if number % 7 == 0 else None,
            "public_reply": {"content": "Danke!", "author": "The shop", "updated": updated}
            if number % 10 == 0
            else None,
        }
        reviews.append(
            Resource(
                "review",
                str(rng.randrange(10**7, 10**8)),
                attributes,
                {"item": [item] if item else []},
                hidden={
                    "status": status and status["value"],
                    "item": {"id": item.id} if item else None,
                },
            )
        )
    return reviews


def make_coupons(
    rng: random.Random, now: datetime, profiles: Sequence[Resource]
) -> tuple[list[Resource], list[Resource]]:
    """Two pages of coupons, and their codes: unused, used, expired, and without expiry.

    The first three coupons have several pages of codes, most have two codes, the last has none.
    """
    coupons = [
        Resource(
            "coupon",
            f"COUPON-{number}",
            {
                "external_id": f"COUPON-{number}",
                "description": f"{5 + number % 50} % off" if number % 3 else None,
                "monitor_configuration": {"low_balance_threshold": 500} if number % 2 else None,
                "assigner_configuration": _ASSIGNERS[number % len(_ASSIGNERS)],
            },
        )
        for number in range(_COUPONS)
    ]
    code_counts = [_CODES if number < 3 else 2 for number in range(_COUPONS - 1)] + [0]
    codes = []
    for coupon, code_count in zip(coupons, code_counts, strict=True):
        own = [_code(rng, now, coupon, number, profiles) for number in range(code_count)]
        coupon.relationships["coupon-codes"] = own
        codes += own
    return coupons, codes


def _catalog_id(external_id: str) -> str:
    return f"$custom:::$default:::{external_id}"


def _item(rng: random.Random, number: int, now: datetime) -> Resource:
    external_id = f"FLOWER-{number}"
    created, updated = created_and_updated(rng, now)
    attributes = {
        "external_id": external_id,
        "title": f"{rng.choice(_FLOWERS)} {number}",
        "description": "Frisch vom Feld.\nHaltbar." if number % 4 else None,
        "price": rng.choice((12, 12.5, 0, 1999.99)) if number % 11 else None,
        "url": f"https://shop.example.com/p/{number}",
        "image_full_url": f"https://images.example.com/p/{number}.png",
        "image_thumbnail_url": None,
        "images": [f"https://images.example.com/p/{number}-2.png"] if number % 2 else [],
        "custom_metadata": {"Season": "Spring", "Stems": number, "Länge": {"cm": 40.5}}
        if number % 3
        else None,
        "published": number % 7 != 0,
        "created": created,
        "updated": updated if number % 13 else None,
    }
    id = _catalog_id(external_id)
    return Resource("catalog-item", id, attributes, hidden={"ids": id, "category": []})


def _variant(rng: random.Random, item: Resource, place: int) -> Resource:
    external_id = f"{item.attributes['external_id']}-{'SMLX'[place]}"
    id = _catalog_id(external_id)
    attributes = {
        **item.attributes,
        "external_id": external_id,
        "title": f"{item.attributes['title']} {'SMLX'[place]}",
        "sku": f"SKU-{external_id}",
        "inventory_policy": rng.choice((0, 1, 2)),
        "inventory_quantity": rng.choice((0, 12, 7.5, None)),
    }
    return Resource(
        "catalog-variant",
        id,
        attributes,
        {"item": [item]},
        hidden={"ids": id, "item": {"id": item.id}},
    )


def _product(item: Resource) -> dict[str, Any]:
    return {
        "url": item.attributes["url"],
        "name": item.attributes["title"],
        "image_url": item.attributes["image_full_url"],
        "external_id": item.attributes["external_id"],
    }


def _code(
    rng: random.Random,
    now: datetime,
    coupon: Resource,
    number: int,
    profiles: Sequence[Resource],
) -> Resource:
    assigned = number % 3 == 0
    profile = rng.choice(profiles) if assigned and profiles else None
    expires = None if number % 5 == 4 else iso(now + timedelta(days=rng.randrange(-300, 60)))
    unique = f"{coupon.id}-{random_id(rng, 8)}"
    status = rng.choice(("ASSIGNED_TO_PROFILE", "USED")) if profile else "UNASSIGNED"
    return Resource(
        "coupon-code",
        unique,
        {
            "unique_code": unique,
            "expires_at": expires,
            "status": rng.choice(("PROCESSING", "VERSION_NOT_ACTIVE")) if number == 7 else status,
        },
        {"coupon": [coupon], "profile": [profile] if profile else []},
        hidden={
            "coupon": {"id": coupon.id},
            "profile": {"id": profile.id} if profile else None,
        },
    )
