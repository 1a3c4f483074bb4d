"""Seeds the senders of text messages, their registrations and the configuration."""

import random
from datetime import datetime

from sandbox.resources import Resource
from sandbox.seeding.random_values import created_and_updated, random_ulid

_SENDERS = 23
_TYPES = ("toll_free", "short_code", "long_code", "alpha", "vanity_short_code")
_STATUSES = ("active", "suspended", "registering", "pending_registration", "registration_failed")
_REGISTRATION_STATUSES = {
    "active": "approved",
    "suspended": "approved",
    "registering": "in_review",
    "pending_registration": "action_required",
    "registration_failed": "rejected",
}


def make_text_messaging_senders(
    rng: random.Random, now: datetime
) -> tuple[list[Resource], list[Resource]]:
    """Two pages of senders of all types and statuses, and their registrations; some have none."""
    senders, registrations = [], []
    for number in range(_SENDERS):
        created, updated = created_and_updated(rng, now)
        status = _STATUSES[number % len(_STATUSES)]
        is_pending = status == "pending_registration"
        sender = Resource(
            "text-messaging-sender",
            random_ulid(rng),
            {
                "sender_type": _TYPES[number // 2 % len(_TYPES)],
                "sender_details": {"country": ("US", "CA", "NL")[number % 3]},
                "status": status,
                "created_at": created,
                "forwarding_number": "+15005550006" if number % 4 == 0 else None,
                "sender_identifier": None if is_pending else f"+1888555{number:04}",
            },
        )
        senders.append(sender)
        if number % 6 == 5:
            continue
        is_decided = status in ("active", "suspended", "registration_failed")
        is_rejected = status == "registration_failed"
        registration = Resource(
            "text-messaging-sender-registration",
            random_ulid(rng),
            {
                "status": _REGISTRATION_STATUSES[status],
                "failures": [{"detail": "The website has no opt-in."}] if is_rejected else [],
                "created_at": created,
                "updated_at": updated,
                "submitted_at": None if is_pending else created,
                "decided_at": updated if is_decided else None,
            },
            {"text-messaging-sender": [sender]},
        )
        sender.relationships["text-messaging-sender-registration"] = [registration]
        registrations.append(registration)
    return senders, registrations


def make_text_messaging_configuration(
    rng: random.Random, now: datetime, account: Resource
) -> Resource:
    """The configuration; its id is that of the account."""
    created, updated = created_and_updated(rng, now)
    return Resource(
        "text-messaging-configuration",
        account.id,
        {
            "org_prefix": "The shop: ",
            "opt_out_language": "Text STOP to opt out.",
            "status": "active",
            "created_at": created,
            "updated_at": updated,
        },
    )
