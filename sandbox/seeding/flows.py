"""Seeds flows and their actions."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.flow_messages import make_flow_message
from sandbox.seeding.random_values import created_and_updated, random_id

_FLOWS = (
    ("Welcome series", "Added to List"),
    ("Abandoned cart", "Metric"),
    ("Birthday", "Date Based"),
    ("Price drop", "Price Drop"),
    ("Draft of a flow", "Unconfigured"),
)
_TRIGGERS = ("Metric", "Added to List", "Date Based", "Low Inventory", "Price Drop")
_STATUSES = ("live", "live", "manual", "draft")
_FURTHER_FLOWS = 61
_LONG_FLOW, _REPETITIONS = 7, 12  # index of a flow with more actions than a page

# Message ids of the first two flows, whose messages have events: an email and an SMS each.
FIXED_MESSAGE_IDS = (("FmS0", "FmS2"), ("FmS1", "FmS3"))
_EMAIL_AND_SMS = ("send-email", "time-delay", "send-sms")
_ACTION_TYPES = (
    ("send-email", "time-delay", "conditional-split", "send-mobile-push"),
    ("countdown-delay", "ab-test", "trigger-split", "send-sms", "update-profile"),
    ("target-date", "send-whatsapp", "list-update", "send-webhook", "send-internal-alert"),
    ("multi-branch-split", "back-in-stock-delay", "send-email", "send-email"),
    (),
)
_CHANNELS = {
    "send-email": "email",
    "send-sms": "sms",
    "send-mobile-push": "mobile_push",
    "send-whatsapp": "whatsapp",
    "send-webhook": "webhook",
    "send-internal-alert": "internal_alert",
}
_SPLITS = frozenset({"conditional-split", "trigger-split"})
_FRENCH_PROFILES = {
    "condition_groups": [
        {
            "conditions": [
                {
                    "type": "profile-property",
                    "property": "locale",
                    "filter": {"type": "string", "operator": "starts-with", "value": "fr"},
                }
            ]
        }
    ]
}


def make_flows(rng: random.Random, now: datetime) -> list[Resource]:
    """The flows that events, lists and metrics refer to."""
    created = (now - timedelta(days=500)).replace(microsecond=0).isoformat()
    return [
        _flow(
            rng,
            name,
            trigger,
            "draft" if trigger == "Unconfigured" else "live",
            (created, created),
        )
        for name, trigger in _FLOWS
    ]


def make_further_flows(rng: random.Random, now: datetime) -> list[Resource]:
    """Flows of all statuses that fill a second page; one in six is archived."""
    return [
        _flow(
            rng,
            f"Flow {number}" if number % 10 else f"Flux d’été {number}",
            _TRIGGERS[number % len(_TRIGGERS)],
            _STATUSES[number % len(_STATUSES)],
            created_and_updated(rng, now),
            archived=number % 6 == 3,
        )
        for number in range(_FURTHER_FLOWS)
    ]


def add_flow_actions(
    rng: random.Random,
    flows: Sequence[Resource],
    now: datetime,
    templates: Sequence[Resource],
    tags: Sequence[Resource],
) -> list[Resource]:
    """Add definitions, tags and actions to flows; returns all actions.

    One flow has more actions than fit on a page, some have none.
    """
    actions: list[Resource] = []
    for number, flow in enumerate(flows):
        if number < len(FIXED_MESSAGE_IDS):
            action_types: tuple[str, ...] = _EMAIL_AND_SMS
        else:
            action_types = _ACTION_TYPES[number % len(_ACTION_TYPES)] * (
                _REPETITIONS if number == _LONG_FLOW else 1
            )
        message_ids = iter(FIXED_MESSAGE_IDS[number] if number < len(FIXED_MESSAGE_IDS) else ())
        flow_actions = list(_actions(rng, flow, action_types, now, templates, message_ids))
        flow.relationships |= {
            "flow-actions": flow_actions,
            "tags": rng.sample(list(tags), number % 3),
        }
        flow.change(definition=_definition(flow, flow_actions))
        actions += flow_actions
    return actions


def _flow(
    rng: random.Random,
    name: str,
    trigger: str,
    status: str,
    moments: tuple[str, str],
    *,
    archived: bool = False,
) -> Resource:
    attributes = {
        "name": name,
        "status": status,
        "archived": archived,
        "created": moments[0],
        "updated": moments[1],
        "trigger_type": trigger,
    }
    return Resource("flow", random_id(rng, 6), attributes)


def _definition(flow: Resource, actions: Sequence[Resource]) -> dict[str, Any] | None:
    if flow.attributes["trigger_type"] == "Unconfigured":
        return None
    return {
        "triggers": [{"type": "list", "id": "LsT001"}],
        "profile_filter": _FRENCH_PROFILES if len(actions) > 3 else None,
        "actions": [action.attributes["definition"] for action in actions],
        "entry_action_id": actions[0].id if actions else None,
        "reentry_criteria": {"unit": "day", "duration": 30},
    }


def _actions(
    rng: random.Random,
    flow: Resource,
    action_types: Sequence[str],
    now: datetime,
    templates: Sequence[Resource],
    message_ids: Iterator[str],
) -> Iterator[Resource]:
    ids = [str(rng.randrange(10**7, 10**8)) for _ in action_types]
    for index, (id, type) in enumerate(zip(ids, action_types, strict=True)):
        next_id = ids[index + 1] if index + 1 < len(ids) else None
        created, updated = created_and_updated(rng, now)
        status = "draft" if flow.attributes["status"] == "draft" else "live"
        action = Resource(
            "flow-action",
            id,
            {"created": created, "updated": updated, "definition": None},
            {"flow": [flow]},
            hidden={"action_type": type.upper().replace("-", "_"), "status": status},
        )
        messages = [
            make_flow_message(rng, action, channel, label, templates, next(message_ids, None))
            for channel, label in _messages_sent_by(type)
        ]
        action.relationships["flow-messages"] = messages
        action.change(
            definition={
                "id": id,
                "temporary_id": None,
                "type": type,
                "links": _links(type, next_id),
                "data": _data(type, status, [one.attributes["definition"] for one in messages]),
            }
        )
        yield action


def _messages_sent_by(type: str) -> Sequence[tuple[str, str]]:
    """Channel and variation label of each message that an action type sends."""
    if type == "ab-test":
        return [("email", label) for label in "ABC"]
    return [(_CHANNELS[type], "A")] if type in _CHANNELS else []


def _links(type: str, next_id: str | None) -> dict[str, Any] | None:
    if type == "multi-branch-split":
        return None
    if type in _SPLITS:
        return {"next_if_true": next_id, "next_if_false": None}
    return {"next": next_id}


def _data(type: str, status: str, messages: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if type in _CHANNELS:
        return {"message": messages[0], "status": status}
    if type == "ab-test":
        return _experiment(status, messages)
    data: dict[str, dict[str, Any]] = {
        "time-delay": {
            "unit": "days",
            "value": 2,
            "secondary_value": 3,
            "timezone": "profile",
            "delay_until_time": "09:00:00",
            "delay_until_weekdays": ["monday", "friday"],
        },
        "countdown-delay": {"unit": "weeks", "value": 1, "timezone": "Europe/Amsterdam"},
        "target-date": {
            "timezone": "profile",
            "target_time": "10:00:00",
            "target_days": [{"type": "day-of-month", "day": 1}],
        },
        "conditional-split": {"profile_filter": _FRENCH_PROFILES},
        "trigger-split": {
            "trigger_filter": {"condition_groups": []},
            "trigger_id": "MeTr01",
            "trigger_type": "metric",
            "trigger_subtype": None,
        },
        "update-profile": {
            "profile_operations": [
                {
                    "operator": "update",
                    "property_type": "string",
                    "property_key": "stage",
                    "property_value": "welcomed",
                }
            ],
            "status": status,
        },
        "list-update": {
            "name": "Add to list",
            "on_execution": True,
            "list_id": None,
            "status": status,
        },
        "multi-branch-split": {
            "name": "By country",
            "branches": [
                {
                    "branch_id": "b1",
                    "order": 0,
                    "is_else": True,
                    "branch_filter": None,
                    "links": {"next": None},
                    "name": None,
                }
            ],
        },
    }
    return data.get(type)


def _experiment(status: str, messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    variations = [
        {"type": "send-email", "data": {"message": message, "status": status}}
        for message in messages
    ]
    return {
        "status": status,
        "experiment_status": "live",
        "main_action": variations[0],
        "current_experiment": {
            "id": messages[0]["id"],
            "name": "Which subject?",
            "variations": variations[1:],
            "allocations": {message["id"]: 1 / len(messages) for message in messages},
            "started": "2026-01-01T00:00:00+00:00",
            "winner_metric": "unique-clicks",
            "automatic_winner_selection_settings": {
                "enabled": True,
                "automatic_end_date": None,
                "automatic_end_statistical_certainty": True,
            },
        },
    }
