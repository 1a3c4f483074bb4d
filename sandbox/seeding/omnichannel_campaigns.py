"""Seeds the campaigns that only revision 2026-10-15 shows: of several channels, and of WhatsApp."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.random_values import iso, random_ulid

_CANVAS, _WIZARD = 17, 6
_STATUSES = ("sent", "sent", "scheduled", "draft", "sending", "cancelled", "sent")
_CHANNELS = ("email", "sms", "whatsapp", "push")
_STRATEGIES = (
    "static",
    "local_timezone",
    "personalized_send_time_optimization",
    "throttled",
    "content_variation",
    "ab_send_time_test",
)
_COLORS = ("ff5733", None, "00aa88")
_WINNER_METRICS = ("opens_unique", "clicks_unique", "placed_orders_unique")
_VARIATION_COUNTS = (1, 2, 1, 3)


def make_omnichannel_campaigns(
    rng: random.Random,
    now: datetime,
    lists: Sequence[Resource],
    tags: Sequence[Resource],
    templates: Sequence[Resource],
    images: Sequence[Resource],
) -> list[Resource]:
    """Canvas campaigns with several messages and audiences, and WhatsApp campaigns of the wizard.

    Every fourth is archived, of both builders. Every fifth of the canvas has no messages.
    """
    campaigns = []
    for number in range(_CANVAS + _WIZARD):
        builder = _CampaignBuilder(rng, now, number)
        campaign = builder.campaign("canvas" if number < _CANVAS else "wizard", tags)
        if number < _CANVAS:
            audiences = [
                builder.audience(campaign, place, lists) for place in range(1 + number % 2)
            ]
            channels = [_CHANNELS[(number + place) % len(_CHANNELS)] for place in range(number % 5)]
        else:
            audiences = [builder.audience(campaign, 0, lists)]
            channels = ["whatsapp"]
        for place, channel in enumerate(channels):
            builder.message(
                campaign, audiences[place % len(audiences)], place, channel, templates, images
            )
        campaigns.append(campaign)
    return campaigns


class _CampaignBuilder:
    """Builds one campaign: its audiences, messages and their variations."""

    def __init__(self, rng: random.Random, now: datetime, number: int) -> None:
        self.rng, self.number = rng, number
        self.created = now - timedelta(days=5 * number + 1, microseconds=rng.randrange(1, 10**6))
        self.updated = self.created + timedelta(days=1)
        self.status = _STATUSES[number % len(_STATUSES)]

    def campaign(self, builder: str, tags: Sequence[Resource]) -> Resource:
        """The campaign without audiences and messages."""
        number = self.number
        attributes = {
            "created_at": self.created.isoformat(),
            "updated_at": iso(self.updated),
            "definition": {
                "name": f"{builder} campaign {number} – Frühling 🌷",
                "builder": builder,
                "archived": number % 4 == 3,
                "color": _COLORS[number % len(_COLORS)],
                "description": "Newsletter, then a reminder" if number % 3 else None,
                "send_settings": {
                    "send_timezone": ("UTC", "Europe/Amsterdam")[number % 2],
                    "send_strategy": ("timezone", "static")[number % 2],
                    "send_passed_rltz_immediately": (True, False, None)[number % 3],
                    "exit_condition_enabled": number % 5 == 0,
                    "exit_condition_conversion_metric_id": None,
                }
                if number != 1
                else None,
            },
        }
        related = {
            "campaign-audiences": [],
            "campaign-messages": [],
            "tags": self.rng.sample(tags, number % 3),
        }
        return Resource("campaign", random_ulid(self.rng), attributes, related)

    def audience(self, campaign: Resource, place: int, lists: Sequence[Resource]) -> Resource:
        """Add an audience to a campaign."""
        included = self.rng.sample(lists, 1 + self.number % 3)
        audience = Resource(
            "campaign-audience",
            random_ulid(self.rng),
            {
                **self._dates(),
                "definition": {
                    "name": f"Audience {place + 1}" if self.number % 6 else None,
                    "included": [one.id for one in included],
                    "excluded": [lists[0].id] if self.number % 4 == 0 else [],
                    "priority": place + 1,
                },
            },
            {"campaign": [campaign], "campaign-messages": []},
        )
        campaign.relationships["campaign-audiences"].append(audience)
        return audience

    def message(
        self,
        campaign: Resource,
        audience: Resource,
        place: int,
        channel: str,
        templates: Sequence[Resource],
        images: Sequence[Resource],
    ) -> None:
        """Add a message to a campaign and its audience, with one to three variations."""
        count = _VARIATION_COUNTS[(self.number + place) % len(_VARIATION_COUNTS)]
        message = Resource(
            "campaign-message",
            random_ulid(self.rng),
            {
                **self._dates(),
                "definition": {
                    "name": f"{channel} message {place + 1}",
                    "status": self.status,
                    "tracking_options": {
                        "is_add_utm": place % 2 == 0,
                        "is_tracking_clicks": channel != "push",
                        "is_tracking_opens": channel == "email",
                    },
                    "send_options": {},
                    "ab_test": self._ab_test(place) if count > 1 else None,
                },
            },
            {
                "campaign": [campaign],
                "campaign-audience": [audience],
                "tags": campaign.related("tags"),
            },
        )
        variations = [
            self._variation(message, label, channel, templates, images) for label in "ABC"[:count]
        ]
        message.relationships["campaign-variations"] = variations
        message.attributes["definition"]["send_options"] = self._send_options(place, variations)
        campaign.relationships["campaign-messages"].append(message)
        audience.relationships["campaign-messages"].append(message)

    def _dates(self) -> dict[str, str]:
        return {"created": self.created.isoformat(), "updated": iso(self.updated)}

    def _ab_test(self, place: int) -> dict[str, Any]:
        return {
            "winner_metric": _WINNER_METRICS[(self.number + place) % len(_WINNER_METRICS)],
            "winner_percentage": 60,
            "winner_wait_hours": 4 if self.number % 2 else None,
        }

    def _send_options(self, place: int, variations: Sequence[Resource]) -> dict[str, Any]:
        strategy = _STRATEGIES[(self.number + place) % len(_STRATEGIES)]
        sent = None if self.status == "draft" else iso(self.updated + timedelta(hours=place))
        has_own_times = strategy in ("personalized_send_time_optimization", "ab_send_time_test")
        is_throttled = strategy == "throttled"
        return {
            "send_time": sent,
            "send_times": {one.id: sent for one in variations} if has_own_times else None,
            "send_strategy": strategy,
            "recipient_percentage": 25 if is_throttled else None,
            "throttling_type": ("none", "throttle-for-campaigns", None)[self.number % 3],
            "throttle_unit": ("hour", "minute")[place % 2] if is_throttled else None,
            "is_ignoring_unsubscribes": False,
        }

    def _variation(
        self,
        message: Resource,
        label: str,
        channel: str,
        templates: Sequence[Resource],
        images: Sequence[Resource],
    ) -> Resource:
        template, image = self.rng.choice(templates), self.rng.choice(images)
        has_image = channel == "push" and self.number % 3 > 0
        details: dict[str, dict[str, Any]] = {
            "email": {
                "template_id": template.id,
                "from_label": "The shop",
                "from_email": "shop@example.com",
                "reply_to_email": "",
                "cc_email": "",
                "bcc_email": "",
                "subject": f"Für dich {label}",
                "preview_text": "Neu: Tulpen",
            },
            "sms": {
                "template_id": None,
                "cost": 0.01 if label == "A" else None,
                "mms_static_image_asset_id": None,
                "shorten_links": True,
                "include_contact_card": False,
                "body": f"Tulpen {label} 🌷",
                "add_org_prefix": True,
                "add_info_link": None,
                "add_opt_out_language": True,
                "mms_dynamic_image_template": None,
                "text_message_type": ("SMS", "MMS", "RCS")[self.number % 3],
                "message_hierarchy": None,
            },
            "whatsapp": {"template_id": template.id, "shorten_links": label == "A"},
            "push": {
                "title": f"Tulpen {label}",
                "body": "Come in",
                "badge": True,
                "badge_config": "set-count",
                "badge_value": "1",
                "sound_file_name": "",
                "static_asset_id": int(image.id) if has_image else None,
                "sound": False,
                "open_action": 0,
                "dynamic_media_template": "",
                "kv_pairs": {"deal": label} if self.number % 2 else None,
                "push_type": "standard",
                "ios_deep_link": None,
                "android_deep_link": None,
                "web_url": None,
                "content_available": None,
                "mutable_content": None,
                "video_asset_id": None,
                "action_buttons": [],
            },
        }
        return Resource(
            "campaign-variation",
            random_ulid(self.rng),
            {
                **self._dates(),
                "definition": {
                    "name": f"Variation {label}",
                    "details": {"channel": channel, **details[channel]},
                },
            },
            {"campaign-message": [message], "image": [image] if has_image else []},
        )
