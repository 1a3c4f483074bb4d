"""The campaigns of revision 2026-07-15 as revision 2026-10-15 shows them.

Klaviyo does not document how the two revisions relate. Here a campaign and its messages keep their
ids and dates; each message has one variation, and each campaign one audience.
"""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.filters import unix_seconds
from sandbox.resources import Collection, Resource
from sandbox.seeding.random_values import random_ulid

CAMPAIGN_TYPES = ("campaign", "campaign-message", "campaign-variation", "campaign-audience")

_ADDED = "omnichannel-"  # prefix of the collections that only revision 2026-10-15 shows

# Without what follows a colon, such as the reason of a cancellation.
_STATUSES: Mapping[str, str] = {
    "Draft": "draft",
    "Preparing to schedule": "scheduled",
    "Scheduled": "scheduled",
    "Preparing to send": "sending",
    "Adding Recipients": "sending",
    "Queued without Recipients": "sending",
    "Sending": "sending",
    "Sending Segments": "sending",
    "Sent": "sent",
    "Variations Sent": "sent",
    "Cancelled": "cancelled",
}

# By method of sending, and whether it is in the recipient's time zone.
_STRATEGIES: Mapping[tuple[str, bool], str] = {
    ("static", False): "static",
    ("static", True): "local_timezone",
    ("immediate", False): "static",
    ("smart_send_time", False): "send_time_optimization",
    ("throttled", False): "throttled",
    ("ab_test_campaign", False): "content_variation",
}

_THROTTLING = {True: "throttle-for-campaigns-and-flows", False: "none"}  # by smart sending


def added(collections: Mapping[str, Collection], resource_type: str) -> Collection | None:
    """The resources of a type that only revision 2026-10-15 shows; None if there are none."""
    return collections.get(_ADDED + resource_type)


def added_collections(campaigns: Iterable[Resource]) -> dict[str, Collection]:
    """The collections that hold these campaigns, which only revision 2026-10-15 shows."""
    return {_ADDED + name: one for name, one in _with_related(campaigns).items()}


def omnichannel_collections(collections: Mapping[str, Collection]) -> dict[str, Collection]:
    """All campaigns, messages, variations and audiences as revision 2026-10-15 shows them."""
    campaigns = [_campaign(one) for one in collections.get("campaign", ())]
    return _with_related([*campaigns, *(added(collections, "campaign") or ())])


def _with_related(campaigns: Iterable[Resource]) -> dict[str, Collection]:
    """Collections of campaigns and of what they consist of."""
    campaigns = [*campaigns]
    for campaign in campaigns:
        campaign.hidden = campaign.attributes["definition"]
        for message in campaign.related("campaign-messages"):
            message.hidden = {**message.attributes["definition"], "campaign_id": campaign.id}
    messages = [one for each in campaigns for one in _existing(each, "campaign-messages")]
    variations = [one for each in messages for one in _existing(each, "campaign-variations")]
    audiences = [one for each in campaigns for one in _existing(each, "campaign-audiences")]
    resources = (campaigns, messages, variations, audiences)
    return {name: Collection(some) for name, some in zip(CAMPAIGN_TYPES, resources, strict=True)}


def _existing(resource: Resource, relationship: str) -> list[Resource]:
    return [one for one in resource.related(relationship) if not one.deleted]


def _campaign(legacy: Resource) -> Resource:
    """A campaign with its audience and messages."""
    known = legacy.attributes
    options = known["send_strategy"].get("options", {})
    is_local = options.get("is_local", False)
    definition = {
        "name": known["name"],
        "builder": "wizard",
        "archived": known["archived"],
        "color": None,
        "description": None,
        "send_settings": {
            "send_timezone": "UTC",
            "send_strategy": "timezone" if is_local else "static",
            "send_passed_rltz_immediately": options.get("send_past_recipients_immediately"),
            "exit_condition_enabled": False,
            "exit_condition_conversion_metric_id": None,
        },
    }
    campaign = Resource(
        "campaign",
        legacy.id,
        {
            "created_at": known["created_at"],
            "updated_at": known["updated_at"],
            "definition": definition,
        },
        {"tags": legacy.related("tags")},
    )
    audience = Resource(
        "campaign-audience",
        _derived_id(legacy, "audience"),
        {
            "created": known["created_at"],
            "updated": known["updated_at"],
            "definition": {"name": known["name"], **known["audiences"], "priority": 1},
        },
        {"campaign": [campaign]},
    )
    messages = [
        _message(one, legacy, campaign, audience) for one in _existing(legacy, "campaign-messages")
    ]
    campaign.relationships |= {"campaign-audiences": [audience], "campaign-messages": messages}
    audience.relationships["campaign-messages"] = messages
    return campaign


def _message(
    legacy: Resource, legacy_campaign: Resource, campaign: Resource, audience: Resource
) -> Resource:
    """A message with its variation. It changes with its campaign, whose status it shows."""
    known, sent = legacy.attributes, legacy_campaign.attributes
    label = known["definition"].get("label")
    definition = {
        "name": f"{sent['name']} {label}" if label else sent["name"],
        "status": _STATUSES.get(sent["status"].partition(":")[0]),
        "tracking_options": _tracking_options(sent["tracking_options"]),
        "send_options": _send_options(sent),
        "ab_test": None,
    }
    message = Resource(
        "campaign-message",
        legacy.id,
        {
            "created": known["created_at"],
            "updated": max(known["updated_at"], sent["updated_at"], key=unix_seconds),
            "definition": definition,
        },
        {
            "campaign": [campaign],
            "campaign-audience": [audience],
            "tags": legacy_campaign.related("tags"),
        },
    )
    variation = Resource(
        "campaign-variation",
        _derived_id(legacy, "variation"),
        {
            "created": known["created_at"],
            "updated": known["updated_at"],
            "definition": {"name": label, "details": _details(legacy)},
        },
        {"campaign-message": [message], "image": legacy.related("image")},
    )
    message.relationships["campaign-variations"] = [variation]
    return message


def _tracking_options(known: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if known is None:
        return None
    return {
        "is_add_utm": known["add_tracking_params"],
        "is_tracking_clicks": known.get("is_tracking_clicks"),
        "is_tracking_opens": known.get("is_tracking_opens"),
    }


def _send_options(campaign: Mapping[str, Any]) -> dict[str, Any]:
    strategy = campaign["send_strategy"]
    method = strategy["method"]
    is_local = strategy.get("options", {}).get("is_local", False)
    return {
        "send_time": campaign["send_time"],
        "send_times": None,
        "send_strategy": _STRATEGIES.get((method, is_local)),
        "recipient_percentage": strategy.get("throttle_percentage"),
        "throttling_type": _THROTTLING.get(campaign["send_options"]["use_smart_sending"]),
        "throttle_unit": "hour" if method == "throttled" else None,
        "is_ignoring_unsubscribes": False,
    }


def _details(message: Resource) -> dict[str, Any]:
    definition = message.attributes["definition"]
    content, options = definition.get("content", {}), definition.get("render_options", {})
    channel = definition["channel"]
    if channel == "email":
        template = next(iter(message.related("template")), None)
        return {
            "channel": channel,
            "template_id": template and template.id,
            **{name: value or "" for name, value in content.items()},
        }
    if channel == "sms":
        return {
            "channel": channel,
            "template_id": None,
            "cost": None,
            "mms_static_image_asset_id": None,
            "include_contact_card": None,
            "body": content["body"],
            **options,
            "mms_dynamic_image_template": content["media_url"],
            "text_message_type": "MMS" if content["media_url"] else "SMS",
            "message_hierarchy": None,
        }
    return _push_details(message, definition, content)


def _push_details(
    message: Resource, definition: Mapping[str, Any], content: Mapping[str, Any]
) -> dict[str, Any]:
    options = definition.get("options", {})
    on_open, badge = options.get("on_open", {}), options.get("badge", {})
    badge_options = badge.get("badge_options", {})
    image = next(iter(message.related("image")), None)
    return {
        # Klaviyo's documentation calls the channel so here, and `mobile_push` elsewhere.
        "channel": "push",
        "title": content.get("title", ""),
        "body": content.get("body", ""),
        "badge": badge.get("display", False),
        "badge_config": badge_options.get("badge_config", "increment_one").replace("_", "-"),
        "badge_value": badge_options.get("value", "1"),
        "sound_file_name": "",
        "static_asset_id": image and int(image.id),
        "sound": options.get("play_sound", False),
        "open_action": 1 if on_open else 0,
        "dynamic_media_template": content.get("dynamic_image") or "",
        "kv_pairs": definition["kv_pairs"],
        "push_type": definition["notification_type"],
        "ios_deep_link": on_open.get("ios_deep_link"),
        "android_deep_link": on_open.get("android_deep_link"),
        "web_url": on_open.get("web_url"),
        "content_available": None,
        "mutable_content": None,
        "video_asset_id": None,
        "action_buttons": [
            {
                "label": one["label"],
                "action_type": one["action_type"],
                "url": one["url"],
                "icon": None,
                "custom_action_id": None,
            }
            for one in content.get("action_buttons", ())
        ],
    }


def _derived_id(resource: Resource, part: str) -> str:
    """The id of what a resource of revision 2026-07-15 consists of; always the same."""
    return random_ulid(random.Random(f"{resource.id}/{part}"))
