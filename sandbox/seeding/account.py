"""The account itself, what is made of its metrics, and where its data goes to."""

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.events import EventLog
from sandbox.resources import Resource, identifier, ulid
from sandbox.seeding.random_values import lifetime

_TOPICS = (
    "event:klaviyo.received_sms",
    "event:klaviyo.clicked_email",
    "event:klaviyo.opened_email",
    "event:klaviyo.unsubscribed_from_email",
)
_TYPES = {str: "string", int: "integer", float: "float", bool: "boolean", list: "list"}


def make_account(rng: random.Random) -> Resource:
    """The account's one record."""
    public = identifier(rng, 6)
    return Resource(
        "account",
        public,
        {
            "test_account": True,
            "contact_information": {
                "default_sender_name": "The shop",
                "default_sender_email": "shop@example.com",
                "website_url": "https://shop.example.com",
                "organization_name": "The shop",
                "street_address": {
                    "address1": "1 Main Street",
                    "address2": None,
                    "city": "Amsterdam",
                    "region": None,
                    "country": "NL",
                    "zip": "1012 AB",
                },
            },
            "industry": "Software / SaaS",
            "timezone": "Europe/Amsterdam",
            "preferred_currency": "EUR",
            "public_api_key": public,
            "locale": "en-US",
        },
    )


def make_properties(rng: random.Random, log: EventLog) -> list[Resource]:
    """The properties of every metric that has events, as an event with properties shows them."""
    found = []
    for metric in log.metrics:
        told = (log.properties(position) for position in log.positions(metric))
        properties = next(filter(None, told), {})
        own = [
            Resource(
                "metric-property",
                identifier(rng, 10),
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
        metric.relations["metric-properties"] = own
        found += own
    return found


def make_custom_metrics(
    rng: random.Random, now: datetime, order: Resource, view: Resource
) -> list[Resource]:
    """Custom metrics: a count of one metric, and a value of two that are filtered."""
    filtered = {
        "property": "$value",
        "filter": {"type": "numeric", "operator": "greater-than", "value": 20},
    }
    definitions: tuple[tuple[str, dict[str, Any], list[Resource]], ...] = (
        (
            "Views",
            {"aggregation_method": "count", "metric_groups": [_group(view)]},
            [view],
        ),
        (
            "Umsatz über 20 €",
            {
                "aggregation_method": "value",
                "metric_groups": [
                    {**_group(order), "metric_filters": [filtered], "value_property": "$value"},
                    _group(view),
                ],
            },
            [order, view],
        ),
    )
    made = []
    for name, definition, metrics in definitions:
        created, updated = lifetime(rng, now)
        attributes = {"name": name, "created": created, "updated": updated}
        made.append(
            Resource(
                "custom-metric",
                ulid(rng),
                {**attributes, "definition": definition},
                {"metrics": metrics},
            )
        )
    return made


def make_mapped_metrics(
    rng: random.Random, now: datetime, mapped: Mapping[str, dict[str, list[Resource]]]
) -> list[Resource]:
    """What stands for what: the relationships of each mapped metric, by its id."""
    return [
        Resource("mapped-metric", id, {"updated": lifetime(rng, now)[1]}, relations)
        for id, relations in mapped.items()
    ]


def make_webhooks(rng: random.Random, now: datetime) -> tuple[list[Resource], list[Resource]]:
    """Webhooks and all the topics that there are."""
    topics = [Resource("webhook-topic", topic, {}) for topic in _TOPICS]
    webhooks = []
    for number in range(3):
        created, updated = lifetime(rng, now)
        attributes = {
            "name": f"Hook {number}",
            "description": None if number else "Für das Lager",
            "endpoint_url": "https://hooks.example.com",
            "enabled": number != 1,
            "created_at": created if number < 2 else None,
            "updated_at": updated if number < 2 else None,
        }
        related = {"webhook-topics": topics[number:]}
        webhooks.append(Resource("webhook", ulid(rng), attributes, related))
    return webhooks, topics


def make_tracking_setting(account: Resource) -> Resource:
    """The one tracking setting, which has the id of the account."""
    static = {"type": "static", "value": "Klaviyo"}
    return Resource(
        "tracking-setting",
        account.id,
        {
            "auto_add_parameters": True,
            "utm_source": {"flow": static, "campaign": static},
            "utm_medium": {
                "flow": {"type": "dynamic", "value": "message_type"},
                "campaign": {"type": "dynamic", "value": "message_type"},
            },
            "utm_campaign": {
                "flow": {"type": "dynamic", "value": "flow_name"},
                "campaign": {"type": "dynamic", "value": "campaign_name_id"},
            },
            "utm_id": None,
            "utm_term": {"flow": None, "campaign": None},
            "custom_parameters": [{"name": "ref", "flow": static, "campaign": None}],
        },
    )


def _group(metric: Resource) -> dict[str, Any]:
    return {"metric_id": metric.id, "metric_filters": None, "value_property": None}
