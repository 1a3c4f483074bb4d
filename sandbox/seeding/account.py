"""Seeds the account record, webhooks, the tracking setting and billing usage."""

import random
from datetime import datetime, timedelta

from sandbox.resources import Resource
from sandbox.seeding.random_values import created_and_updated, iso, random_id, random_ulid

_TOPICS = (
    "event:klaviyo.received_sms",
    "event:klaviyo.clicked_email",
    "event:klaviyo.opened_email",
    "event:klaviyo.unsubscribed_from_email",
)


# The unit, what was used, and the maximum of the plan, by type of usage.
_USAGE: dict[str, tuple[str, float, int]] = {
    "email_sends": ("messages", 180_000, 250_000),
    "active_profiles": ("profiles", 24_318, 25_000),
    "sms_credits": ("credits", 1234.5678, 5000),
    "whatsapp_spend": ("USD", 0.25, 100),
    "reviews_orders": ("orders", 0, 0),
    "customer_agent_conversations": ("conversations", 17, 50),
    "customer_agent_resolutions": ("resolutions", 3, 50),
}


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


def make_billing_usage(now: datetime) -> list[Resource]:
    """The usage of the month of `now`, one row for each type of usage."""
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start + timedelta(days=31)).replace(day=1)
    return [
        Resource(
            "billing-usage",
            usage_type,
            {
                "usage_used": used,
                "usage_max": maximum,
                "unit": unit,
                "period_start": iso(start),
                "period_end": iso(end),
                "as_of": iso(now),
            },
        )
        for usage_type, (unit, used, maximum) in _USAGE.items()
    ]
