"""Seeds the account record, webhooks and the tracking setting."""

import random
from datetime import datetime

from sandbox.resources import Resource
from sandbox.seeding.random_values import created_and_updated, random_id, random_ulid

_TOPICS = (
    "event:klaviyo.received_sms",
    "event:klaviyo.clicked_email",
    "event:klaviyo.opened_email",
    "event:klaviyo.unsubscribed_from_email",
)


def make_account(rng: random.Random) -> Resource:
    """The account record."""
    public = random_id(rng, 6)
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


def make_webhooks(rng: random.Random, now: datetime) -> tuple[list[Resource], list[Resource]]:
    """Webhooks, and all webhook topics."""
    topics = [Resource("webhook-topic", topic, {}) for topic in _TOPICS]
    webhooks = []
    for number in range(3):
        created, updated = created_and_updated(rng, now)
        attributes = {
            "name": f"Hook {number}",
            "description": None if number else "Für das Lager",
            "endpoint_url": "https://hooks.example.com",
            "enabled": number != 1,
            "created_at": created if number < 2 else None,
            "updated_at": updated if number < 2 else None,
        }
        related = {"webhook-topics": topics[number:]}
        webhooks.append(Resource("webhook", random_ulid(rng), attributes, related))
    return webhooks, topics


def make_tracking_setting(account: Resource) -> Resource:
    """The tracking setting; its id is that of the account."""
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
