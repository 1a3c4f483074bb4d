"""Seeds metrics of Klaviyo and of other integrations, and what is derived from them."""

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sandbox.events import EventLog
from sandbox.resources import Resource
from sandbox.seeding.random_values import created_and_updated, random_id, random_ulid

Naming: TypeAlias = Literal["old", "new", "both"]

# Klaviyo's metrics by role: all names that each has had, oldest first.
NATIVE: dict[str, tuple[str, ...]] = {
    "receive": ("Received Email",),
    "open": ("Opened Email",),
    "click": ("Clicked Email",),
    "bounce": ("Bounced Email",),
    "unsubscribe": ("Unsubscribed", "Unsubscribed from Email Marketing"),
    "mark_as_spam": ("Marked Email as Spam",),
    "unsubscribe_list": ("Unsubscribed from List",),
    "subscribe_list": ("Subscribed to List",),
    "subscribe_email": ("Subscribed to Email Marketing",),
    "update_preferences": ("Updated Email Preferences",),
    "drop": ("Dropped Email",),
    "click_sms": ("Clicked SMS", "Clicked Text Message"),
    "consent_sms": (
        "Consented to Receive SMS",
        "Subscribed to SMS Marketing",
        "Subscribed to Text Messaging Marketing",
    ),
    "fail_sms": ("Failed to Deliver SMS", "Failed to Deliver Text Message"),
    "fail_automated_sms": (
        "Failed to deliver Automated Response SMS",
        "Failed to Deliver Automated Response Text Message",
    ),
    "receive_automated_sms": (
        "Received Automated Response SMS",
        "Received Automated Response Text Message",
    ),
    "receive_sms": ("Received SMS", "Received Text Message"),
    "send_sms": ("Sent SMS", "Sent Text Message"),
    "unsubscribe_sms": (
        "Unsubscribed from SMS",
        "Unsubscribed from SMS Marketing",
        "Unsubscribed from Text Messaging Marketing",
    ),
    "subscribe_transactional": ("Subscribed to Text Messaging Transactional",),
    "unsubscribe_transactional": ("Unsubscribed from Text Messaging Transactional",),
}

# Metrics of other integrations by role: name and integration. Some have names of Klaviyo's.
FOREIGN: dict[str, tuple[str, str | None]] = {
    "order": ("Placed Order", "Shopify"),
    "order_product": ("Ordered Product", "Shopify"),
    "view_product": ("Viewed Product", "API"),
    "visit": ("Active on Site", "API"),
    "decoy_open": ("Opened Email", "Shopify"),
    "decoy_receive_sms": ("Received SMS", "Shopify"),
    "decoy_open_api": ("Opened Email", "API"),
    "orphan": ("my_event", None),
    "custom": ("Quiz Completed", "API"),
}

_CATEGORY = {"Klaviyo": "Internal", "Shopify": "eCommerce", "API": "API"}
_NESTED_CATEGORY = frozenset({"mark_as_spam", "update_preferences"})
_OTHER_LETTER_CASE = {"unsubscribe_list": "Unsubscribed From List"}
_TOTAL = 230  # so that the list of metrics has two pages
_TYPES = {str: "string", int: "integer", float: "float", bool: "boolean", list: "list"}


def make_metrics(
    rng: random.Random, naming: Naming, without: Collection[str], now: datetime
) -> dict[str, list[Resource]]:
    """Metrics by role: two for a renamed metric if `naming` is "both", none if left out.

    `without` holds names of Klaviyo's metrics, current or former. The role "" holds metrics
    without events.
    """
    integrations = {name: _integration(rng, name) for name in _CATEGORY}
    created = now - timedelta(days=900)
    left_out = {name.casefold() for name in without}

    def make(name: str, integration: dict[str, Any] | None) -> Resource:
        nonlocal created
        created += timedelta(minutes=rng.randrange(1, 4000))
        known = integration is not None
        moment = created.replace(microsecond=0).isoformat() if known else None
        attributes = {
            "name": name,
            "created": moment,
            "updated": moment,
            "integration": integration,
        }
        return Resource("metric", random_id(rng, 6), attributes)

    found: dict[str, list[Resource]] = {}
    for role, names in NATIVE.items():
        if left_out.intersection(name.casefold() for name in names):
            continue
        integration = integrations["Klaviyo"]
        if role in _NESTED_CATEGORY:
            integration = {**integration, "category": {"object": "category", "name": "Internal"}}
        chosen = _chosen((_OTHER_LETTER_CASE.get(role, names[0]), *names[1:]), naming)
        found[role] = [make(name, integration) for name in chosen]
    for role, (name, owner) in FOREIGN.items():
        found[role] = [make(name, integrations[owner] if owner else None)]
    made = sum(map(len, found.values()))
    found[""] = [
        make(f"Custom event {number:03}", integrations["API"]) for number in range(_TOTAL - made)
    ]
    return found


def make_metric_properties(rng: random.Random, log: EventLog) -> list[Resource]:
    """The properties of each metric with events, inferred from its first event with properties."""
    found = []
    for metric in log.metrics:
        by_event = (log.properties(position) for position in log.positions(metric))
        properties = next(filter(None, by_event), {})
        own = [
            Resource(
                "metric-property",
                random_id(rng, 10),
                {
                    "label": name.strip("$").replace("_", " ").title(),
                    "property": name,
                    "inferred_type": _TYPES.get(type(value), "string"),
                    "sample_values": [value] if isinstance(value, (str, int, float)) else [],
                },
                {"metric": [metric]},
            )
            for name, value in properties.items()
        ]
        metric.relationships["metric-properties"] = own
        found += own
    return found


def make_custom_metrics(
    rng: random.Random, now: datetime, order: Resource, view: Resource
) -> list[Resource]:
    """Custom metrics: a count of one metric, and a value of two metrics with a filter."""
    filtered = {
        "property": "$value",
        "filter": {"type": "numeric", "operator": "greater-than", "value": 20},
    }
    definitions: tuple[tuple[str, dict[str, Any], list[Resource]], ...] = (
        (
            "Views",
            {"aggregation_method": "count", "metric_groups": [_metric_group(view)]},
            [view],
        ),
        (
            "Umsatz über 20 €",
            {
                "aggregation_method": "value",
                "metric_groups": [
                    {
                        **_metric_group(order),
                        "metric_filters": [filtered],
                        "value_property": "$value",
                    },
                    _metric_group(view),
                ],
            },
            [order, view],
        ),
    )
    made = []
    for name, definition, metrics in definitions:
        created, updated = created_and_updated(rng, now)
        attributes = {"name": name, "created": created, "updated": updated}
        made.append(
            Resource(
                "custom-metric",
                random_ulid(rng),
                {**attributes, "definition": definition},
                {"metrics": metrics},
            )
        )
    return made


def make_mapped_metrics(
    rng: random.Random, now: datetime, mapped: Mapping[str, dict[str, list[Resource]]]
) -> list[Resource]:
    """Mapped metrics, given the relationships of each by id."""
    return [
        Resource("mapped-metric", id, {"updated": created_and_updated(rng, now)[1]}, relationships)
        for id, relationships in mapped.items()
    ]


def _chosen(names: Sequence[str], naming: Naming) -> Sequence[str]:
    """The oldest name, the newest, or both."""
    choices = {"old": names[:1], "new": names[-1:], "both": dict.fromkeys((names[0], names[-1]))}
    return tuple(choices[naming])


def _integration(rng: random.Random, name: str) -> dict[str, Any]:
    return {
        "object": "integration",
        "id": random_id(rng, 6),
        "key": name.lower(),
        "name": name,
        "category": _CATEGORY[name],
        "image_url": f"https://images.example.com/integrations/{name.lower()}.png",
    }


def _metric_group(metric: Resource) -> dict[str, Any]:
    return {"metric_id": metric.id, "metric_filters": None, "value_property": None}
