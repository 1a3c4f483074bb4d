"""The registry: one row of data per stream.

A row says where a stream's records come from and what they are; nothing else in the tap knows a
stream by name. A stream of a kind that exists (see :mod:`tap_klaviyo.kinds`) is added with a row
and a schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from tap_klaviyo.kinds import Cut, Include, Source, Stream

EVENT_PAGE_SIZE_FALLBACK = 200
"""The most events a page could hold before Klaviyo's revision 2026-01-15."""

_PROFILE = Include("profile", "profile", "profile", "profiles:read", "profile_id")
_METRIC = Include("metric", "metric", "metric", "metrics:read", "metric_id")
_TAGS = Include("tags", "tags", "tag", "tags:read")


def events(
    name: str,
    *metrics: str,
    aliases: tuple[str, ...] = (),
    integration: str = Stream.integration,
    selected_by_default: bool = True,
) -> Stream:
    """A row for the events of one metric; ``metrics`` are its names, oldest first, or its id."""
    return Stream(
        name=name,
        schema="event",
        description=f"Events of the metric {metrics[-1]}.",
        path="/api/events",
        type="event",
        scopes=("events:read",),
        tier="XL",
        page_size=1000,
        sort="timestamp",
        cut=Cut("timestamp", iso=False),
        replication_key="timestamp",
        metrics=metrics,
        integration=integration,
        includes=(_PROFILE, _METRIC),
        selected_by_default=selected_by_default,
        aliases=aliases,
    )


_EVENTS = (
    events("receive", "Received Email"),
    events("click", "Clicked Email"),
    events("open", "Opened Email"),
    events("bounce", "Bounced Email"),
    events("dropped_email", "Dropped Email"),
    events("mark_as_spam", "Marked Email as Spam"),
    events("unsubscribe", "Unsubscribed", "Unsubscribed from Email Marketing"),
    events("subscribe_list", "Subscribed to List"),
    events("unsub_list", "Unsubscribed from List"),
    events("update_email_preferences", "Updated Email Preferences"),
    events(
        "clicked_sms",
        "Clicked SMS",
        "Clicked Text Message",
        aliases=("clicked_text_message",),
    ),
    events(
        "consented_to_receive",
        "Consented to Receive SMS",
        "Subscribed to SMS Marketing",
        "Subscribed to Text Messaging Marketing",
        aliases=("subscribed_to_sms", "subscribed_to_text_message"),
    ),
    events(
        "failed_to_deliver",
        "Failed to Deliver SMS",
        "Failed to Deliver Text Message",
        aliases=("failed_to_deliver_text_message",),
    ),
    events(
        "failed_to_deliver_automated_response",
        "Failed to Deliver Automated Response SMS",
        "Failed to Deliver Automated Response Text Message",
        aliases=("failed_to_deliver_automated_response_text_message",),
    ),
    events(
        "received_automated_response",
        "Received Automated Response SMS",
        "Received Automated Response Text Message",
        aliases=("received_automated_response_text_message",),
    ),
    events(
        "received_sms",
        "Received SMS",
        "Received Text Message",
        aliases=("received_text_message",),
    ),
    events(
        "sent_sms",
        "Sent SMS",
        "Sent Text Message",
        aliases=("sent_text_message",),
    ),
    events(
        "unsubscribed_from_sms",
        "Unsubscribed from SMS",
        "Unsubscribed from SMS Marketing",
        "Unsubscribed from Text Messaging Marketing",
        aliases=("unsubscribed_from_text_message",),
    ),
)

_DEFINED = (
    "label",
    "channel",
    "content",
    "render_options",
    "notification_type",
    "kv_pairs",
    "options",
)
_IN_DEFINITION = {name: Source(f"definition.{name}") for name in _DEFINED}
_SUPPRESSION = "subscriptions.email.marketing.suppression"
_EXCLUSION = "subscriptions.email.marketing.list_suppressions"
_ANY_TIME = "1970-01-01T00:00:00Z"

_ASKED_FOR = (
    Stream(
        name="campaigns",
        schema="campaign",
        description="Campaigns of all channels, live and archived, with messages and tags.",
        path="/api/campaigns",
        type="campaign",
        scopes=("campaigns:read",),
        tier="M",
        page_size=100,
        variants=tuple(
            f"equals(messages.channel,'{channel}'),equals(archived,{archived})"
            for channel, archived in product(("email", "sms", "mobile_push"), ("false", "true"))
        ),
        includes=(
            Include(
                "campaign-messages",
                "campaign-messages",
                "campaign-message",
                "campaigns:read",
                sources=_IN_DEFINITION,
            ),
            _TAGS,
        ),
    ),
    Stream(
        name="lists",
        schema="list",
        description="Lists with their tags.",
        path="/api/lists",
        type="list",
        scopes=("lists:read",),
        page_size=10,
        includes=(_TAGS,),
    ),
    Stream(
        name="global_exclusions",
        schema="global_exclusion",
        description="Profiles suppressed from email, each with all of its suppressions.",
        path="/api/profiles",
        type="profile",
        keys=("email",),
        scopes=("profiles:read",),
        page_size=100,
        sort=f"{_SUPPRESSION}.timestamp",
        variants=(f"greater-or-equal({_SUPPRESSION}.timestamp,{_ANY_TIME})",),
        sources={
            "suppressions": Source(_SUPPRESSION),
            "reason": Source(_SUPPRESSION, latest="reason"),
            "timestamp": Source(_SUPPRESSION, latest="timestamp"),
        },
        additional=("subscriptions", "predictive_analytics"),
        slow={"predictive_analytics": "M"},
        fields_not_by_default=("predictive_analytics",),
    ),
)

STREAMS: tuple[Stream, ...] = (*_EVENTS, *_ASKED_FOR)


def by_name(streams: Iterable[Stream]) -> dict[str, Stream]:
    """Every stream under its own name and under each of its aliases."""
    return {name: stream for stream in streams for name in (stream.name, *stream.aliases)}


BY_NAME = by_name(STREAMS)
