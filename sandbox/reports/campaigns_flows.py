"""Statistics of the messages of campaigns and flows, counted from events.

As in Klaviyo, everything is dated to the time the message was sent to the profile: an open counts
for the day of sending, whenever it happened.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import Any

from sandbox.account_data import AccountData, integration_name
from sandbox.events import MISSING
from sandbox.reports.statistics import (
    Observation,
    ObservationGroup,
    Statistic,
    count,
    difference,
    group_by_key,
    rate,
    unique,
    value,
)
from sandbox.resources import Resource
from sandbox.seeding.metrics import NATIVE

_ANY_PROFILE = object()
_SEGMENT_PRICE = 0.01  # of one segment of a text message

# Observation names by Klaviyo's metrics (keys of `NATIVE`).
_OBSERVATION_NAMES = {
    "receive": "recipient",
    "receive_sms": "recipient",
    "open": "open",
    "click": "click",
    "click_sms": "click",
    "bounce": "bounce",
    "fail_sms": "failure",
    "unsubscribe": "unsubscribe",
    "unsubscribe_sms": "unsubscribe",
    "mark_as_spam": "complaint",
}
_BY_METRIC_NAME = {
    name.casefold(): observation
    for role, observation in _OBSERVATION_NAMES.items()
    for name in NATIVE[role]
}

_RECIPIENTS, _OPENED, _CLICKED = count("recipient"), unique("open"), unique("click")
_BOUNCED, _FAILED = count("bounce"), count("failure")
_DELIVERED = difference(_RECIPIENTS, _BOUNCED, _FAILED)
_SEGMENTS = count("text")

STATISTICS: Mapping[str, Statistic] = {
    "average_order_value": rate(value("conversion"), count("conversion")),
    "bounce_rate": rate(_BOUNCED, _RECIPIENTS),
    "bounced": _BOUNCED,
    "bounced_or_failed": count("bounce", "failure"),
    "bounced_or_failed_rate": rate(count("bounce", "failure"), _RECIPIENTS),
    "click_rate": rate(_CLICKED, _DELIVERED),
    "click_to_open_rate": rate(_CLICKED, _OPENED),
    "clicks": count("click"),
    "clicks_unique": _CLICKED,
    "conversion_rate": rate(unique("conversion"), _DELIVERED),
    "conversion_uniques": unique("conversion"),
    "conversion_value": value("conversion"),
    "conversions": count("conversion"),
    "delivered": _DELIVERED,
    "delivery_rate": rate(_DELIVERED, _RECIPIENTS),
    "failed": _FAILED,
    "failed_rate": rate(_FAILED, _RECIPIENTS),
    "message_segment_count_sum": _SEGMENTS,
    "open_rate": rate(_OPENED, _DELIVERED),
    "opens": count("open"),
    "opens_unique": _OPENED,
    "recipients": _RECIPIENTS,
    "revenue_per_recipient": rate(value("conversion"), _DELIVERED),
    "spam_complaint_rate": rate(count("complaint"), _DELIVERED),
    "spam_complaints": count("complaint"),
    "text_message_credit_usage_amount": _SEGMENTS,
    "text_message_roi": rate(value("conversion"), value("text")),
    "text_message_spend": value("text"),
    "unsubscribe_rate": rate(unique("unsubscribe"), _DELIVERED),
    "unsubscribe_uniques": unique("unsubscribe"),
    "unsubscribes": count("unsubscribe"),
}

_RECEIVED_SMS_NAMES = frozenset(name.casefold() for name in NATIVE["receive_sms"])
_SEND_CHANNELS = {"mobile_push": "push-notification"}


def observe_campaigns(
    account: AccountData, conversion_metric: Resource | None
) -> list[ObservationGroup]:
    """Observations of each campaign message."""
    groupings = {
        message.id: _campaign_groupings(campaign, message)
        for campaign in account.collections["campaign"]
        for message in campaign.related("campaign-messages")
    }
    return _groups(account, conversion_metric, groupings)


def observe_flows(
    account: AccountData, conversion_metric: Resource | None
) -> list[ObservationGroup]:
    """Observations of each flow message."""
    groupings = {
        message.id: _flow_groupings(flow, message)
        for flow in account.collections["flow"]
        for action in flow.related("flow-actions")
        for message in action.related("flow-messages")
    }
    return _groups(account, conversion_metric, groupings)


def _groups(
    account: AccountData,
    conversion_metric: Resource | None,
    groupings: Mapping[str, Mapping[str, Any]],
) -> list[ObservationGroup]:
    observations = account.cached(
        ("messages", conversion_metric),
        lambda: group_by_key(_observations_by_send_time(account, conversion_metric)),
    )
    return [
        ObservationGroup(groupings[id], observations[id])
        for id in observations.keys() & groupings.keys()
    ]


def _campaign_groupings(campaign: Resource, message: Resource) -> dict[str, Any]:
    definition = message.attributes["definition"]
    label = definition.get("label", "")
    return {
        "campaign_id": campaign.id,
        "campaign_message_id": message.id,
        "campaign_message_name": campaign.attributes["name"],
        "group": campaign.attributes["audiences"]["included"][0],
        "group_name": "",
        **_common_groupings(campaign, definition["channel"], message.id, label),
    }


def _flow_groupings(flow: Resource, message: Resource) -> dict[str, Any]:
    name = message.hidden["name"]
    return {
        "flow_id": flow.id,
        "flow_name": flow.attributes["name"],
        "flow_message_id": message.id,
        "flow_message_name": name,
        **_common_groupings(flow, message.attributes["channel"], message.id, name),
    }


def _common_groupings(sender: Resource, channel: str, variation: str, name: str) -> dict[str, Any]:
    return {
        "send_channel": _SEND_CHANNELS.get(channel, channel),
        "tag_id": [tag.id for tag in sender.related("tags")],
        "tag_name": [tag.attributes["name"] for tag in sender.related("tags")],
        "text_message_format": "SMS" if channel == "sms" else "",
        "variation": variation,
        "variation_name": name,
    }


def _observations_by_send_time(
    account: AccountData, conversion_metric: Resource | None
) -> Iterator[tuple[str, Observation]]:
    """Message ids with observations, dated to when the message was sent to the profile.

    That is the last sending before the observation; without one to the profile, to any profile.
    """
    sent: dict[tuple[str, Hashable], list[float]] = {}
    observations = list(_observations(account, conversion_metric))
    for message, observation in observations:
        if observation.name == "recipient":
            for subject in (observation.subject, _ANY_PROFILE):
                sent.setdefault((message, subject), []).append(observation.timestamp)
    for timestamps in sent.values():
        timestamps.sort()
    for message, observation in observations:
        timestamps = (
            sent.get((message, observation.subject)) or sent.get((message, _ANY_PROFILE)) or []
        )
        index = bisect_right(timestamps, observation.timestamp)
        timestamp = timestamps[max(0, index - 1)] if timestamps else observation.timestamp
        yield message, observation._replace(timestamp=timestamp)


def _observations(
    account: AccountData, conversion_metric: Resource | None
) -> Iterator[tuple[str, Observation]]:
    """Message ids with observations, dated to the event."""
    log = account.log

    @cache
    def properties_of(payload: int) -> dict[str, Any]:
        return log.payloads[payload].properties

    for metric in account.collections["metric"]:
        name = _observation_name(metric)
        if name is None and metric is not conversion_metric:
            continue
        for position in log.positions(metric):
            row = log.row(position)
            # Events of unknown profiles each count as another profile.
            subject = ~position if row.profile == MISSING else row.profile
            properties = properties_of(row.payload)
            if name and "$message" in properties:
                observation = Observation(row.timestamp, name, subject)
                yield properties["$message"], observation
                if metric.attributes["name"].casefold() in _RECEIVED_SMS_NAMES:
                    segment = observation._replace(name="text", value=_SEGMENT_PRICE)
                    yield properties["$message"], segment
            message = log.payloads[row.payload].message
            if metric is conversion_metric and message:
                value = float(properties.get("$value", 0))
                yield message.id, Observation(row.timestamp, "conversion", subject, value)


def _observation_name(metric: Resource) -> str | None:
    """What events of a metric count as; None for metrics that do not count."""
    if integration_name(metric) != "Klaviyo":
        return None
    return _BY_METRIC_NAME.get(metric.attributes["name"].casefold())
