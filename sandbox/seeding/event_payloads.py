"""Composes the properties of seeded events."""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sandbox.events import MISSING, EventLog, Payload
from sandbox.resources import Resource
from sandbox.seeding.flows import FIXED_MESSAGE_IDS

NO_PROPERTIES = 0  # the index of the payload with null properties
_LIST_ROLES = frozenset({"subscribe_list", "unsubscribe_list"})
_SITE_ROLES = frozenset({"view_product", "visit", "custom", "orphan", "unresolvable"})
_EMAIL_DOMAINS = ("gmail.com", "icloud.com", "example.org", "пример.example")
_ORDER_VARIANTS = 64
_FLOW_MESSAGE_SHARE = 8  # one message in so many is of a flow


class EventPayloads:
    """Adds payloads to a log on first use, and returns their indexes.

    Events of the same role, message and variant share a payload. Messages are numbered: those of
    campaigns first, in the order of the campaigns, then those of flows.
    """

    def __init__(
        self,
        rng: random.Random,
        log: EventLog,
        campaigns: Sequence[Resource],
        flows: Sequence[Resource],
        lists: Sequence[Resource],
    ) -> None:
        self._rng, self._log = rng, log
        self._campaigns, self._flows, self._lists = campaigns, flows, lists
        self._messages = [one.related("campaign-messages")[0] for one in campaigns]
        self._flow_messages: dict[str, list[int]] = {}
        for message in _messages_of(flows):
            channel = message.attributes["channel"]
            self._flow_messages.setdefault(channel, []).append(len(self._messages))
            self._messages.append(message)
        self._indexes: dict[tuple[str, int, int], int] = {}
        log.payloads.append(Payload(None))

    def index(self, role: str, profile: int, campaign: int) -> int:
        """The index of the payload of an event, given the indexes of its profile and campaign."""
        message = self._message(profile, campaign)
        variants = _ORDER_VARIANTS if role.startswith("order") else len(_EMAIL_DOMAINS)
        variant = self._rng.randrange(variants)
        key = (role, message, variant)
        if key not in self._indexes:
            self._indexes[key] = len(self._log.payloads)
            self._log.payloads.append(self._compose(role, message, variant))
        return self._indexes[key]

    def _message(self, profile: int, campaign: int) -> int:
        """The index of the message: mostly the campaign's, else one of a flow on its channel."""
        if campaign == MISSING or (7 * profile + campaign) % _FLOW_MESSAGE_SHARE:
            return campaign
        messages = self._flow_messages[self._campaigns[campaign].hidden["messages"]["channel"]]
        return messages[campaign % len(messages)]

    def _compose(self, role: str, index: int, variant: int) -> Payload:
        message = self._messages[index] if index != MISSING else None
        if role.startswith("order"):
            properties = self._order_properties(variant)
        elif role in _SITE_ROLES:
            properties = _page_properties(variant)
        else:
            properties = self._message_properties(message, variant)
        if role in _LIST_ROLES:
            properties["List"] = self._lists[variant].attributes["name"]
        if "click" in role:
            properties["URL"] = f"https://shop.example.com/p/{variant}?utm_medium=email&q=a+b"
        json_tail = json.dumps(properties, ensure_ascii=False, separators=(",", ":"))[1:]
        return Payload(json_tail.encode(), message if role == "order" else None)

    def _message_properties(self, message: Resource | None, variant: int) -> dict[str, Any]:
        if message:
            properties = _PROPERTIES_BY_TYPE[message.type](message)
        else:
            properties = {"$flow": self._flows[variant % 2].id, "$message": f"FmS{variant}"}
        return properties | {
            "Email Domain": _EMAIL_DOMAINS[variant],
            "Inbox Provider": "Gmail" if variant < 2 else "Other 📮",
            "Client Name": ("Apple Mail", "Gmail", "Outlook", None)[variant],
            "Client Type": "mobile" if variant % 2 else "desktop",
            "machine_open": variant == 1,
            "$ESP": variant,
            "tags": ["a", 1, None],
            "$extra": {"depth": {"of": [{"three": variant}]}, "länge": 1.5},
        }

    def _order_properties(self, variant: int) -> dict[str, Any]:
        value = round(self._rng.uniform(5, 300), 2)
        return {
            "$value": str(value) if variant % 7 == 0 else value,
            "Items": [
                {"SKU": f"SKU-{variant}-{line}", "Name": "Blume 🌷", "Quantity": line + 1}
                for line in range(1 + variant % 3)
            ],
            "Discount Codes": ["SPRING", None] if variant % 4 == 0 else [],
            "Source Name": "web",
            "$currency_code": "EUR",
            "Billing Address": {"City": "São Paulo", "Zip": None, "Lines": ["1 Main Street"]},
            "note": 'He said "now"\nand left\t— ok',
        }


def _messages_of(flows: Sequence[Resource]) -> Iterator[Resource]:
    """The messages of the flows whose message ids are fixed."""
    for flow in flows[: len(FIXED_MESSAGE_IDS)]:
        for action in flow.related("flow-actions"):
            yield from action.related("flow-messages")


def _campaign_message_properties(message: Resource) -> dict[str, Any]:
    (campaign,) = message.related("campaign")
    content = message.attributes["definition"].get("content", {})
    created = int(datetime.fromisoformat(campaign.attributes["created_at"]).timestamp())
    return {
        "Campaign Name": campaign.attributes["name"],
        "Subject": content.get("subject") or content.get("body"),
        "$message": message.id,
        "$_cohort$message_send_cohort": f"{created}:x",
    }


def _flow_message_properties(message: Resource) -> dict[str, Any]:
    (action,) = message.related("flow-action")
    (flow,) = action.related("flow")
    definition = message.attributes["definition"]
    return {
        "Campaign Name": definition["name"],
        "Subject": definition.get("subject_line") or definition.get("body"),
        "$flow": flow.id,
        "$message": message.id,
    }


_PROPERTIES_BY_TYPE = {
    "campaign-message": _campaign_message_properties,
    "flow-message": _flow_message_properties,
}


def _page_properties(variant: int) -> dict[str, Any]:
    return {
        "Title": ("Tulpe", "Rose", "牡丹", "")[variant],
        "URL": f"https://shop.example.com/products/{variant}",
        "Price": (12, 12.5, "12.50", None)[variant],
        "Browser": {"name": "Firefox", "languages": ["de", "en-US"]},
        "Categories": [] if variant else ["Flowers", "Sale"],
        "is_returning": variant % 2 == 0,
    }
