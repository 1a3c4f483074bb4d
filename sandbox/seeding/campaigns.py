"""The account's lists, tags, and campaigns with their messages."""

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.random_values import iso, ulid

_SUBJECTS = ("Hi", "New in: spring 🌷", "50% off — today", "Für dich", "最新情報", 'It\'s "back"')
_OFTEN = {1: 10, 3: 16, 6: 9}  # sending hours (UTC) by weekday: Tuesday, Thursday, Sunday
_SENT = ("Sent", "Sent", "Sent", "Sent", "Variations Sent", "Cancelled: No Recipients")
_AMOUNTS = {"email": (130, 22), "sms": (24, 4), "mobile_push": (14, 3)}


def quiet(moment: datetime, now: datetime) -> bool:
    """Whether a moment falls into one of the account's quiet months: every other one before now."""
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
    """Campaigns of every channel, live and archived, of every send strategy, newest first.

    Those sent within `days` before now are the ones that events tell of; there is one at least.
    """
    campaigns = []
    for channel, (live, archived) in _AMOUNTS.items():
        moments = _moments(now, days)
        for number in range(live + archived):
            campaign = _Draft(rng, channel, number, next(moments)).finished(
                now, lists, tags, archived=number >= live
            )
            if odd_dates and number % 9 == 4:
                created = campaign.attributes["created_at"]
                campaign.change(created_at=created.replace("T", " "))
            campaigns.append(campaign)
    return campaigns


def illustrate(
    campaigns: Iterable[Resource], templates: Sequence[Resource], images: Sequence[Resource]
) -> None:
    """Give e-mails their templates and pushes their images, but for a few."""
    for number, campaign in enumerate(campaigns):
        channel = campaign.hidden["messages"]["channel"]
        shown = {"email": ("template", templates), "mobile_push": ("image", images)}.get(channel)
        for message in campaign.related("campaign-messages"):
            if shown and number % 8:
                relation, made = shown
                message.relations[relation] = [made[number % len(made)]]


def _moments(now: datetime, days: float) -> Iterator[datetime]:
    """When campaigns were sent, going back in time: a weekly rhythm without the quiet months."""
    start = now - timedelta(days=days)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    sent_within = False
    while True:
        moment = midnight + timedelta(hours=_OFTEN.get(midnight.weekday(), 0))
        if not sent_within and midnight < start:
            sent_within = True
            yield now - timedelta(days=days / 2)
        if midnight.weekday() in _OFTEN and moment < now and not quiet(moment, now):
            sent_within = sent_within or moment >= start
            yield moment
        midnight -= timedelta(days=1)


class _Draft:
    """One campaign in the making."""

    def __init__(self, rng: random.Random, channel: str, number: int, sent: datetime) -> None:
        self.rng, self.channel, self.number, self.sent = rng, channel, number, sent
        # The newest two of a channel have not been sent: a draft and a scheduled one.
        self.unsent = {0: "Draft", 1: "Scheduled"}.get(number)

    def finished(
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
            ulid(rng),
            {
                "name": f"{self.channel} campaign {self.number} – {rng.choice(_SUBJECTS)}",
                "status": self.unsent or rng.choice(_SENT),
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
        campaign.relations["tags"] = rng.sample(tags, self.number % 3)
        campaign.relations["campaign-messages"] = [
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
        made = campaign.attributes["created_at"]
        times = [{"datetime": iso(self.sent), "is_local": False}]
        attributes = {
            "definition": {"channel": self.channel, **self._content(label)},
            "send_times": None if self.unsent else times,
            "created_at": made,
            "updated_at": made,
        }
        return Resource("campaign-message", ulid(self.rng), attributes, {"campaign": [campaign]})

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
