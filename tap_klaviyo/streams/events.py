"""Rows of the registry: events of Klaviyo's own metrics, and events of all metrics.

A metric that Klaviyo has renamed is read under all its names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tap_klaviyo.streams.model import Relationship, Stream, TimeFilter

PROFILE = Relationship("profile", "profile", "profile", "profiles:read", "profile_id")

METRIC = Relationship("metric", "metric", "metric", "metrics:read", "metric_id")

_NAMED_METRIC = replace(METRIC, lifted={"metric_name": "name", "integration": "integration"})

_ATTRIBUTIONS = Relationship(
    "attributions",
    "attributions",
    "attribution",
    references={
        "event_id": "event",
        "attributed_event_id": "attributed-event",
        "campaign_id": "campaign",
        "campaign_message_id": "campaign-message",
        "flow_id": "flow",
        "flow_message_id": "flow-message",
        "flow_message_variation_id": "flow-message-variation",
    },
)


def events(
    name: str,
    *metrics: str,
    aliases: tuple[str, ...] = (),
    integration: str = Stream.integration,
    selected_by_default: bool = True,
) -> Stream:
    """A row for the events of one metric. ``metrics`` are its names, oldest first, or its ID."""
    return Stream(
        name=name,
        schema="event",
        description=f"Events of the metric {metrics[-1]}." if metrics else "Events.",
        path="/api/events",
        type="event",
        scopes=("events:read",),
        tier="XL",
        page_size=1000,
        sort="timestamp",
        time_filter=TimeFilter("timestamp", iso=False),
        replication_key="timestamp",
        metrics=metrics,
        integration=integration,
        relationships=(PROFILE, METRIC),
        selected_by_default=selected_by_default,
        aliases=aliases,
    )


def any_events(name: str, *metrics: str, **more: Any) -> Stream:
    """A row for events of any integration, with the metric's name and the attributions."""
    return replace(
        events(name, *metrics, **more),
        schema="any_event",
        relationships=(PROFILE, _NAMED_METRIC, _ATTRIBUTIONS),
        fields_not_by_default=("attributions",),
    )


EVENT_PAGE_SIZE_FALLBACK = 200
"""The most events a page could hold before Klaviyo's revision 2026-01-15."""

EVENTS: tuple[Stream, ...] = (
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
    events("clicked_sms", "Clicked SMS", "Clicked Text Message", aliases=("clicked_text_message",)),
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
        "received_sms", "Received SMS", "Received Text Message", aliases=("received_text_message",)
    ),
    events("sent_sms", "Sent SMS", "Sent Text Message", aliases=("sent_text_message",)),
    events(
        "unsubscribed_from_sms",
        "Unsubscribed from SMS",
        "Unsubscribed from SMS Marketing",
        "Unsubscribed from Text Messaging Marketing",
        aliases=("unsubscribed_from_text_message",),
    ),
    events("subscribed_to_email", "Subscribed to Email Marketing", selected_by_default=False),
    events(
        "subscribed_to_text_message_transactional",
        "Subscribed to Text Messaging Transactional",
        selected_by_default=False,
    ),
    events(
        "unsubscribed_from_text_message_transactional",
        "Unsubscribed from Text Messaging Transactional",
        selected_by_default=False,
    ),
    replace(
        any_events("events", selected_by_default=False),
        description="Events of all metrics from any source, with the messages they are attributed "
        "to.",
    ),
)
