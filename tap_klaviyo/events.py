"""The registry's rows for events: Klaviyo's own metrics, and the events of all metrics.

A metric that Klaviyo has renamed is read under all of its names.
"""

from __future__ import annotations

from dataclasses import replace

from tap_klaviyo.kinds import Stream, any_events, events

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
        description="Events of all metrics, whoever sent them, and what they are attributed to.",
    ),
)
