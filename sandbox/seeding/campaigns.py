"""Seeds campaigns and their messages."""

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.random_values import iso, random_ulid

_SUBJECTS = ("Hi", "New in: spring 🌷", "50% off — today", "Für dich", "最新情報", 'It\'s "back"')
_SEND_HOURS = {1: 10, 3: 16, 6: 9}  # UTC, by weekday: Tuesday, Thursday, Sunday
_STATUSES = ("Sent", "Sent", "Sent", "Sent", "Variations Sent", "Cancelled: No Recipients")
# Numbers of live and archived campaigns.
_COUNTS = {"email": (130, 22), "sms": (24, 4), "mobile_push": (14, 3)}


def in_quiet_month(moment: datetime, now: datetime) -> bool:
    """Whether a moment is in a month without campaigns: every other month before `now`."""
    return (now - moment) // timedelta(days=30) % 2 == 1


def make_campaigns(
    rng: random.Random,
    now: datetime,
    days: float,
    lists: list[Resource],
    tags: list[Resource],
    *,
    odd_dates: bool,
) -> list[Resource]:
    """Campaigns of all channels, statuses and send strategies; newest first within a channel.

    At least one of each channel was sent within `days` before `now`.
    """
    campaigns = []
    for channel, (live, archived) in _COUNTS.items():
        send_times = _send_times(now, days)
        for number in range(live + archived):
            campaign = _CampaignBuilder(rng, channel, number, next(send_times)).build(
                now, lists, tags, archived=number >= live
            )
            if odd_dates and number % 9 == 4:
                created = campaign.attributes["created_at"]
                campaign.change(created_at=created.replace("T", " "))
            campaigns.append(campaign)
    return campaigns


def link_templates_and_images(
    campaigns: Iterable[Resource], templates: Sequence[Resource], images: Sequence[Resource]
) -> None:
    """Set the templates of emails and the images of push messages; some have none."""
    for number, campaign in enumerate(campaigns):
        channel = campaign.hidden["messages"]["channel"]
        linked = {"email": ("template", templates), "mobile_push": ("image", images)}.get(channel)
        for message in campaign.related("campaign-messages"):
            if linked and number % 8:
                relationship, resources = linked
                message.relationships[relationship] = [resources[number % len(resources)]]


def make_recipient_estimations(rng: random.Random, campaigns: Iterable[Resource]) -> list[Resource]:
    """Estimated numbers of recipients, one of them 0; some campaigns have none.

    An estimation has the ID of its campaign.
    """
    estimations = []
    for number, campaign in enumerate(campaigns):
        if number % 5 == 3:
            continue
        count = rng.randrange(100, 200_000) if number else 0
        attributes = {"estimated_recipient_count": count}
        estimation = Resource("campaign-recipient-estimation", campaign.id, attributes)
        campaign.relationships["campaign-recipient-estimation"] = [estimation]
        estimations.append(estimation)
    return estimations


def _send_times(now: datetime, days: float) -> Iterator[datetime]:
    """Send times, newest first: three a week, none in quiet months."""
    start = now - timedelta(days=days)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    sent_within = False
    while True:
        moment = midnight + timedelta(hours=_SEND_HOURS.get(midnight.weekday(), 0))
        if not sent_within and midnight < start:
            sent_within = True
            yield now - timedelta(days=days / 2)
        if midnight.weekday() in _SEND_HOURS and moment < now and not in_quiet_month(moment, now):
            sent_within = sent_within or moment >= start
            yield moment
        midnight -= timedelta(days=1)


class _CampaignBuilder:
    """Builds one campaign."""

    def __init__(self, rng: random.Random, channel: str, number: int, sent: datetime) -> None:
        self.rng, self.channel, self.number, self.sent = rng, channel, number, sent
        # The newest two campaigns of a channel have not been sent.
        self.unsent = {0: "Draft", 1: "Scheduled"}.get(number)

    def build(
        self, now: datetime, lists: list[Resource], tags: list[Resource], *, archived: bool
    ) -> Resource:
        rng = self.rng
        created = self.sent - timedelta(days=2, microseconds=rng.randrange(1, 10**6))
        scheduled = self.sent - timedelta(days=1)
        updated = self.sent + timedelta(minutes=10)
        if self.unsent:
            created = now - timedelta(days=self.number + 1, microseconds=rng.randrange(1, 10**6))
            scheduled = updated = created + timedelta(hours=1)
        campaign = Resource(
            "campaign",
            random_ulid(rng),
            {
                "name": f"{self.channel} campaign {self.number} – {rng.choice(_SUBJECTS)}",
                "status": self.unsent or rng.choice(_STATUSES),
                "archived": archived,
                "audiences": {
                    "included": [one.id for one in rng.sample(lists, 1 + self.number % 2)],
                    "excluded": [lists[0].id] if self.number % 4 == 0 else [],
                },
                "send_options": {"use_smart_sending": rng.choice((True, False, None))},
                "tracking_options": self._tracking_options(),
                "send_strategy": self._send_strategy(),
                "created_at": created.isoformat(),
                "scheduled_at": None if self.unsent == "Draft" else iso(scheduled),
                "updated_at": iso(updated),
                "send_time": None if self.unsent else iso(self.sent),
            },
            hidden={"messages": {"channel": self.channel}},
        )
        campaign.relationships["tags"] = rng.sample(tags, self.number % 3)
        campaign.relationships["campaign-messages"] = [
            self._message(campaign, label) for label in "ABC"[: 1 if self.number % 5 else 3]
        ]
        return campaign

    def _tracking_options(self) -> dict[str, Any] | None:
        if self.channel == "mobile_push":
            return None
        options: dict[str, Any] = {
            "add_tracking_params": self.number % 2 == 0,
            "custom_tracking_params": [
                {"type": "static", "name": "utm_medium", "value": self.channel},
                {"type": "dynamic", "name": "utm_campaign", "value": "campaign_name"},
            ]
            if self.number % 2 == 0
            else None,
        }
        if self.channel == "email":
            options |= {"is_tracking_clicks": True, "is_tracking_opens": True}
        return options

    def _send_strategy(self) -> dict[str, Any]:
        moment = iso(self.sent)
        strategies: tuple[dict[str, Any], ...] = (
            {"method": "static", "datetime": moment, "options": {"is_local": False}},
            {
                "method": "static",
                "datetime": moment,
                "options": {"is_local": True, "send_past_recipients_immediately": False},
            },
            {"method": "smart_send_time", "date": moment[:10]},
            {"method": "throttled", "datetime": moment, "throttle_percentage": 20},
            {"method": "immediate"},
            {"method": "ab_test_campaign"},
            {"method": "unsupported"},
        )
        return strategies[self.number % len(strategies)]

    def _message(self, campaign: Resource, label: str) -> Resource:
        created = campaign.attributes["created_at"]
        times = [{"datetime": iso(self.sent), "is_local": False}]
        attributes = {
            "definition": {"channel": self.channel, **self._content(label)},
            "send_times": None if self.unsent else times,
            "created_at": created,
            "updated_at": created,
        }
        return Resource(
            "campaign-message", random_ulid(self.rng), attributes, {"campaign": [campaign]}
        )

    def _content(self, label: str) -> dict[str, Any]:
        subject = self.rng.choice(_SUBJECTS)
        if self.channel == "email":
            content = {
                "subject": subject,
                "preview_text": None,
                "from_email": "shop@example.com",
                "from_label": "The shop",
                "reply_to_email": None,
                "cc_email": None,
                "bcc_email": None,
            }
            return {"label": label, "content": content}
        if self.channel == "sms":
            names = ("shorten_links", "add_org_prefix", "add_info_link", "add_opt_out_language")
            options = dict.fromkeys(names, True)
            return {"content": {"body": subject, "media_url": None}, "render_options": options}
        pairs = {"deal": "spring"}
        if self.number % 3 == 0:
            return {"notification_type": "silent", "kv_pairs": pairs}
        return {
            "notification_type": "standard",
            "content": {
                "title": subject,
                "body": "Come in",
                "dynamic_image": None,
                "action_buttons": [
                    {"label": "Open", "action_type": "open_app", "position": 0, "url": None}
                ],
            },
            "kv_pairs": pairs,
            "options": {
                "on_open": {"type": "open_web_url", "web_url": "https://shop.example.com/"},
                "badge": {
                    "display": True,
                    "badge_options": {"badge_config": "set_count", "value": "1"},
                },
                "play_sound": True,
            },
        }
