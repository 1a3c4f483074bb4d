"""Seeds profiles with consent, suppressions, push tokens and conversations."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.random_values import iso, random_id, random_ulid

REASONS = ("HARD_BOUNCE", "INVALID_EMAIL", "SPAM_COMPLAINT", "UNSUBSCRIBE", "USER_SUPPRESSED")
_MIN_SUPPRESSED = 120
_SUPPRESSED_SHARE = 0.04
_SUPPRESSION_COUNTS = (1, 1, 2, 1, 1, 3, 1)

_FIRST = (
    "Ada",
    "Zoë",
    "Jürgen",
    "Mei",
    "Noor",
    "Søren",
    "由美",
    "Ivan",
    "Léa",
    "Anaïs",
    "😀",
    "Sam",
)
_LAST = (
    "Ångström",
    "Müller",
    "Okafor",
    "García",
    "Ito",
    "O'Neill",
    "Šimić",
    "Brown",
    "田中",
    "Kaur",
)
_CITIES = (
    ("Amsterdam", "NL", "Noord-Holland", "1012 AB", "Europe/Amsterdam", 52.3702, 4.8952),
    ("Boston", "US", "MA", "02110", "America/New_York", 42.3601, -71.0589),
    ("São Paulo", "BR", "SP", "01310-100", "America/Sao_Paulo", -23.5505, -46.6333),
    ("Tōkyō", "JP", "Tokyo", "100-0001", "Asia/Tokyo", 35.6762, 139.6503),
    ("Zürich", "CH", "ZH", "8001", "Europe/Zurich", 47.3769, 8.5417),
)


def make_profiles(
    rng: random.Random,
    count: int,
    list_ids: list[str],
    now: datetime,
    *,
    suppressions: Sequence[Sequence[int]] | None = None,
) -> list[Resource]:
    """Profiles with missing values and with suppressions of all reasons, in random order.

    Some have no email address; two of these are suppressed. `suppressions` holds the Unix seconds
    of the global suppressions of each suppressed profile; by default 4 % of the profiles have one
    to three at random times.
    """
    subscriptions = [_subscriptions(rng, now) for _ in range(60)]
    analytics = [_predictive_analytics(rng, now) for _ in range(200)]
    profiles = [_profile(rng, number, subscriptions, analytics, now) for number in range(count)]
    if suppressions is None:
        suppressed = min(count, max(_MIN_SUPPRESSED, int(count * _SUPPRESSED_SHARE)))
        suppressions = _random_suppressions(rng, suppressed, now)
    suppressed = len(suppressions)
    for number, (profile, times) in enumerate(zip(profiles, suppressions, strict=False)):
        for repetition, seconds in enumerate(times):
            reason = REASONS[(number + repetition) % len(REASONS)]
            suppress(profile, reason, datetime.fromtimestamp(seconds, timezone.utc))
    for number, profile in enumerate(profiles[suppressed // 2 : suppressed // 2 + 80 : 2]):
        for list_id in rng.sample(list_ids, min(len(list_ids), 1 + number % 2)):
            moment = now - timedelta(seconds=rng.randrange(86_400 * 300))
            suppress(profile, "USER_SUPPRESSED", moment, list_id)
    rng.shuffle(profiles)
    return profiles


def _random_suppressions(rng: random.Random, count: int, now: datetime) -> list[list[int]]:
    end = int(now.timestamp())
    return [
        [
            end - rng.randrange(86_400 * 400)
            for _ in range(_SUPPRESSION_COUNTS[number % len(_SUPPRESSION_COUNTS)])
        ]
        for number in range(count)
    ]


def suppress(profile: Resource, reason: str, moment: datetime, list_id: str | None = None) -> None:
    """Suppress a profile's email globally or for one list."""
    # Profiles share their subscriptions until one of them is changed.
    subscriptions = profile.attributes["subscriptions"]
    marketing = {**subscriptions["email"]["marketing"]}
    entry = {"reason": reason, "timestamp": iso(moment)}
    if list_id is None:
        marketing["suppression"] = [*marketing["suppression"], entry]
        marketing["can_receive_email_marketing"] = False
    else:
        entry = {"list_id": list_id, **entry}
        marketing["list_suppressions"] = [*marketing["list_suppressions"], entry]
    email = {**subscriptions["email"], "marketing": marketing}
    profile.change(subscriptions={**subscriptions, "email": email})


def _profile(
    rng: random.Random,
    number: int,
    subscriptions: list[dict[str, Any]],
    analytics: list[dict[str, Any]],
    now: datetime,
) -> Resource:
    def sometimes(value: Any, chance: float = 0.6) -> Any:
        return value if rng.random() < chance else None

    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    created = now - timedelta(seconds=rng.randrange(86_400, 86_400 * 700))
    updated = now - timedelta(seconds=rng.randrange(int((now - created).total_seconds())))
    has_no_email = number < 2 or number % 97 == 5
    profile = Resource(
        "profile",
        random_ulid(rng),
        {
            "email": None if has_no_email else f"person.{number}+news@example.com",
            "phone_number": sometimes(f"+1555{number:07}", 0.5),
            "external_id": sometimes(f"crm-{number}", 0.3),
            "first_name": sometimes(first, 0.9),
            "last_name": sometimes(last, 0.9),
            "organization": sometimes("Example Corporation", 0.1),
            "locale": sometimes("en-US"),
            "title": sometimes("Regional Manager", 0.1),
            "image": sometimes(f"https://images.example.com/people/{number}.jpg", 0.1),
            "created": iso(created),
            "updated": iso(updated),
            "last_event_date": sometimes(iso(updated), 0.8),
            "location": _location(rng, number),
            "properties": {
                "Favourite colour": rng.choice(("red", "grün", None, "青")),
                "points": rng.choice((0, 12, 250.5, "7")),
                "$source": -6,
                "tags": ["a", 1, None],
                "pet": {"name": "Mia 🐈", "age": 3, "toys": []} if number % 3 == 0 else None,
            },
            "subscriptions": rng.choice(subscriptions),
            "predictive_analytics": rng.choice(analytics),
        },
        hidden={"_kx": f"{random_id(rng, 12)}.{random_id(rng, 6)}"},
    )
    if number % 5 == 0:
        profile.relationships["push-tokens"] = [_push_token(rng, profile)]
    if number % 9 == 0:
        channel = {"channel": rng.choice(("instagram", "sms", "whatsapp"))}
        conversation = Resource("conversation", random_ulid(rng), channel, {"profile": [profile]})
        profile.relationships["conversations"] = [conversation]
    return profile


def _push_token(rng: random.Random, profile: Resource) -> Resource:
    created = profile.attributes["created"]
    attributes = {
        "created": created,
        "token": random_id(rng, 40),
        "enablement_status": rng.choice(("AUTHORIZED", "DENIED", "PROVISIONAL")),
        "platform": "ios",
        "vendor": "APNs",
        "background": "AVAILABLE",
        "recorded_date": created,
        "metadata": {
            "device_id": random_id(rng, 10),
            "klaviyo_sdk": "swift",
            "sdk_version": "1.0.0",
            "device_model": "iPhone12,1",
            "os_name": "ios",
            "os_version": None,
            "manufacturer": "Apple",
            "app_name": "Shop",
            "app_version": "1.0.0",
            "app_build": "1",
            "app_id": "com.example.shop",
            "environment": rng.choice(("debug", "release")),
        },
    }
    return Resource(
        "push-token",
        random_id(rng, 12),
        attributes,
        {"profile": [profile]},
        hidden={"profile": {"id": profile.id}},
    )


def _location(rng: random.Random, number: int) -> dict[str, Any]:
    city, country, region, code, zone, latitude, longitude = rng.choice(_CITIES)
    values = {
        "address1": f"{rng.randrange(1, 400)} Main Street",
        "address2": None,
        "city": city,
        "country": country,
        "latitude": latitude if number % 2 else str(latitude),
        "longitude": longitude if number % 3 else str(longitude),
        "region": region,
        "zip": code,
        "timezone": zone,
        "ip": f"192.0.2.{number % 256}",
    }
    return values if number % 10 else dict.fromkeys(values)


def _subscriptions(rng: random.Random, now: datetime) -> dict[str, Any]:
    moment = iso(now - timedelta(seconds=rng.randrange(86_400 * 600)))
    email, sms, push, whatsapp = (
        rng.choice(("SUBSCRIBED", "SUBSCRIBED", "UNSUBSCRIBED", "NEVER_SUBSCRIBED"))
        for _ in range(4)
    )

    def since(consent: str) -> str | None:
        return None if consent == "NEVER_SUBSCRIBED" else moment

    def sms_consent(purpose: str) -> dict[str, Any]:
        return {
            f"can_receive_sms_{purpose}": sms == "SUBSCRIBED",
            "consent": sms,
            "consent_timestamp": since(sms),
            "method": "TEXT" if since(sms) else None,
            "method_detail": "JOIN" if since(sms) else None,
            "last_updated": since(sms),
        }

    def channel_consent(consent: str, **more: Any) -> dict[str, Any]:
        return {
            "consent": consent,
            "consent_timestamp": since(consent),
            "last_updated": since(consent),
            "created_timestamp": since(consent),
            "metadata": {"source": "form"} if since(consent) else None,
            "can_receive": consent == "SUBSCRIBED",
            "valid_until": None,
            **more,
        }

    return {
        "email": {
            "marketing": {
                "can_receive_email_marketing": email != "UNSUBSCRIBED",
                "consent": email,
                "consent_timestamp": since(email),
                "last_updated": since(email),
                "method": rng.choice(("PREFERENCE_PAGE", "FORM", None)),
                "method_detail": rng.choice(("", "example.com/signup")),
                "custom_method_detail": None,
                "double_optin": rng.choice((True, False, None)),
                "suppression": [],
                "list_suppressions": [],
            },
            "open_tracking": channel_consent(email),
            "click_tracking": channel_consent(email),
        },
        "sms": {
            "marketing": sms_consent("marketing"),
            "transactional": sms_consent("transactional"),
        },
        "mobile_push": {
            "marketing": {
                "can_receive_push_marketing": push == "SUBSCRIBED",
                "consent": push,
                "consent_timestamp": since(push),
            }
        },
        "whatsapp": {
            purpose: channel_consent(
                whatsapp, phone_number="+15005550006" if since(whatsapp) else None
            )
            for purpose in ("marketing", "transactional", "conversational")
        },
    }


def _predictive_analytics(rng: random.Random, now: datetime) -> dict[str, Any]:
    number = rng.randrange(6)
    value = round(rng.uniform(10, 200), 2)
    historic, predicted = round(value * number, 2), round(value * 0.6, 2)
    values = {
        "historic_clv": historic,
        "predicted_clv": predicted,
        "total_clv": round(historic + predicted, 2),
        "historic_number_of_orders": number,
        "predicted_number_of_orders": round(rng.random(), 2),
        "average_days_between_orders": rng.randrange(5, 200),
        "average_order_value": value,
        "churn_probability": round(rng.random(), 2),
        "expected_date_of_next_order": iso(now + timedelta(days=rng.randrange(1, 90))),
        "ranked_channel_affinity": rng.sample(("email", "push", "sms"), 3),
    }
    # Klaviyo predicts nothing for profiles without orders.
    return values if number else {**dict.fromkeys(values), "ranked_channel_affinity": []}
