"""What came of the messages that campaigns and flows have sent, counted from the events.

Everything is told of the moment at which a message was sent to a profile, as Klaviyo does: an open
belongs to the day of the message, whenever it was opened.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import Any

from sandbox.account import Account
from sandbox.events import NOBODY
from sandbox.reports.statistics import (
    Fact,
    Group,
    Statistic,
    by_key,
    count,
    less,
    rate,
    unique,
    value,
)
from sandbox.resources import Resource
from sandbox.seeding.metrics import NATIVE

_ANYBODY = object()
_SPEND = 0.01  # of one segment of a text message

# What Klaviyo's own metrics count for.
_COUNTS_FOR = {
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
_BY_NAME = {name.casefold(): what for role, what in _COUNTS_FOR.items() for name in NATIVE[role]}

_RECIPIENTS, _OPENED, _CLICKED = count("recipient"), unique("open"), unique("click")
_BOUNCED, _FAILED = count("bounce"), count("failure")
_DELIVERED = less(_RECIPIENTS, _BOUNCED, _FAILED)
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

_TEXTED = frozenset(name.casefold() for name in NATIVE["receive_sms"])
_SEND_CHANNELS = {"mobile_push": "push-notification"}


def campaigns(account: Account, conversion: Resource | None) -> list[Group]:
    """What came of each campaign message."""
    known = {
        message.id: _of_campaign(campaign, message)
        for campaign in account.collections["campaign"]
        for message in campaign.related("campaign-messages")
    }
    return _groups(account, conversion, known)


def flows(account: Account, conversion: Resource | None) -> list[Group]:
    """What came of each flow message."""
    known = {
        message.id: _of_flow(flow, message)
        for flow in account.collections["flow"]
        for action in flow.related("flow-actions")
        for message in action.related("flow-messages")
    }
    return _groups(account, conversion, known)


def _groups(
    account: Account, conversion: Resource | None, known: Mapping[str, Mapping[str, Any]]
) -> list[Group]:
    facts = account.derived(("messages", conversion), lambda: by_key(_facts(account, conversion)))
    return [Group(known[id], facts[id]) for id in facts.keys() & known.keys()]


def _of_campaign(campaign: Resource, message: Resource) -> dict[str, Any]:
    definition = message.attributes["definition"]
    return {
        "campaign_id": campaign.id,
        "campaign_message_id": message.id,
        "campaign_message_name": campaign.attributes["name"],
        "group": campaign.attributes["audiences"]["included"][0],
        "group_name": "",
        **_named(campaign, definition["channel"], message.id, definition.get("label", "")),
    }


def _of_flow(flow: Resource, message: Resource) -> dict[str, Any]:
    name = message.hidden["name"]
    return {
        "flow_id": flow.id,
        "flow_name": flow.attributes["name"],
        "flow_message_id": message.id,
        "flow_message_name": name,
        **_named(flow, message.attributes["channel"], message.id, name),
    }


def _named(sender: Resource, channel: str, variation: str, name: str) -> dict[str, Any]:
    return {
        "send_channel": _SEND_CHANNELS.get(channel, channel),
        "tag_id": [tag.id for tag in sender.related("tags")],
        "tag_name": [tag.attributes["name"] for tag in sender.related("tags")],
        "text_message_format": "SMS" if channel == "sms" else "",
        "variation": variation,
        "variation_name": name,
    }


def _facts(account: Account, conversion: Resource | None) -> Iterator[tuple[str, Fact]]:
    """Facts with the id of the message that each is about."""
    sent: dict[tuple[str, Hashable], list[float]] = {}
    told = list(_told(account, conversion))
    for message, fact in told:
        if fact.what == "recipient":
            for who in (fact.who, _ANYBODY):
                sent.setdefault((message, who), []).append(fact.moment)
    for moments in sent.values():
        moments.sort()
    for message, fact in told:
        moments = sent.get((message, fact.who)) or sent.get((message, _ANYBODY)) or []
        place = bisect_right(moments, fact.moment)
        moment = moments[max(0, place - 1)] if moments else fact.moment
        yield message, fact._replace(moment=moment)


def _told(account: Account, conversion: Resource | None) -> Iterator[tuple[str, Fact]]:
    """Facts as events tell of them, at their own moments."""
    log = account.log

    @cache
    def properties(payload: int) -> dict[str, Any]:
        return log.payloads[payload].properties

    for metric in account.collections["metric"]:
        what = _counts_for(metric)
        if what is None and metric is not conversion:
            continue
        for position in log.positions(metric):
            row = log.row(position)
            # Of those who are nobody, none is like another.
            who = ~position if row.profile == NOBODY else row.profile
            told = properties(row.payload)
            if what and "$message" in told:
                fact = Fact(row.timestamp, what, who)
                yield told["$message"], fact
                if metric.attributes["name"].casefold() in _TEXTED:
                    yield told["$message"], fact._replace(what="text", value=_SPEND)
            message = log.payloads[row.payload].message
            if metric is conversion and message:
                worth = float(told.get("$value", 0))
                yield message.id, Fact(row.timestamp, "conversion", who, worth)


def _counts_for(metric: Resource) -> str | None:
    integration = metric.attributes["integration"]
    if not integration or integration["name"] != "Klaviyo":
        return None
    return _BY_NAME.get(metric.attributes["name"].casefold())
