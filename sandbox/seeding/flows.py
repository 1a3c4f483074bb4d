"""The account's flows, with the actions that a profile passes through and their messages."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.flow_messages import make_flow_message
from sandbox.seeding.random_values import identifier, lifetime

_FLOWS = (
    ("Welcome series", "Added to List"),
    ("Abandoned cart", "Metric"),
    ("Birthday", "Date Based"),
    ("Price drop", "Price Drop"),
    ("Draft of a flow", "Unconfigured"),
)
_TRIGGERS = ("Metric", "Added to List", "Date Based", "Low Inventory", "Price Drop")
_STATUSES = ("live", "live", "manual", "draft")
_FURTHER = 61
_LONG_ONE, _LONG = 7, 12

# The first two flows send what events tell of: an e-mail and a text message each.
TOLD = (("FmS0", "FmS2"), ("FmS1", "FmS3"))
_TOLD_JOURNEY = ("send-email", "time-delay", "send-sms")
_JOURNEYS = (
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
_FRENCH = {
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
    """The flows that events, lists and metrics know of: live ones and a draft."""
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
    """Flows for a second page, of every status; one in six is archived."""
    return [
        _flow(
            rng,
            f"Flow {number}" if number % 10 else f"Flux d’été {number}",
            _TRIGGERS[number % len(_TRIGGERS)],
            _STATUSES[number % len(_STATUSES)],
            lifetime(rng, now),
            archived=number % 6 == 3,
        )
        for number in range(_FURTHER)
    ]


def furnish(
    rng: random.Random,
    flows: Sequence[Resource],
    now: datetime,
    templates: Sequence[Resource],
    tags: Sequence[Resource],
) -> list[Resource]:
    """Give flows their definitions, tags and actions; returns all the actions.

    One flow has more actions than a page holds, some have none, and a few actions are gone from the
    definitions of their own: null.
    """
    actions: list[Resource] = []
    for number, flow in enumerate(flows):
        if number < len(TOLD):
            journey: tuple[str, ...] = _TOLD_JOURNEY
        else:
            journey = _JOURNEYS[number % len(_JOURNEYS)] * (_LONG if number == _LONG_ONE else 1)
        told = iter(TOLD[number] if number < len(TOLD) else ())
        made = list(_actions(rng, flow, journey, now, templates, told))
        flow.relations |= {"flow-actions": made, "tags": rng.sample(list(tags), number % 3)}
        flow.change(definition=_definition(flow, made))
        actions += made
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
    return Resource("flow", identifier(rng, 6), attributes)


def _definition(flow: Resource, actions: Sequence[Resource]) -> dict[str, Any] | None:
    if flow.attributes["trigger_type"] == "Unconfigured":
        return None
    return {
        "triggers": [{"type": "list", "id": "LsT001"}],
        "profile_filter": _FRENCH if len(actions) > 3 else None,
        "actions": [action.attributes["definition"] for action in actions],
        "entry_action_id": actions[0].id if actions else None,
        "reentry_criteria": {"unit": "day", "duration": 30},
    }


def _actions(
    rng: random.Random,
    flow: Resource,
    journey: Sequence[str],
    now: datetime,
    templates: Sequence[Resource],
    told: Iterator[str],
) -> Iterator[Resource]:
    ids = [str(rng.randrange(10**7, 10**8)) for _ in journey]
    for place, (id, type) in enumerate(zip(ids, journey, strict=True)):
        following = ids[place + 1] if place + 1 < len(ids) else None
        created, updated = lifetime(rng, now)
        status = "draft" if flow.attributes["status"] == "draft" else "live"
        action = Resource(
            "flow-action",
            id,
            {"created": created, "updated": updated, "definition": None},
            {"flow": [flow]},
            hidden={"action_type": type.upper().replace("-", "_"), "status": status},
        )
        messages = [
            make_flow_message(rng, action, channel, label, templates, next(told, None))
            for channel, label in _sent_by(type)
        ]
        action.relations["flow-messages"] = messages
        action.change(
            definition={
                "id": id,
                "temporary_id": None,
                "type": type,
                "links": _links(type, following),
                "data": _data(type, status, [one.attributes["definition"] for one in messages]),
            }
        )
        yield action


def _sent_by(type: str) -> Sequence[tuple[str, str]]:
    """The channel and the label of each message that a type of action sends."""
    if type == "ab-test":
        return [("email", label) for label in "ABC"]
    return [(_CHANNELS[type], "A")] if type in _CHANNELS else []


def _links(type: str, following: str | None) -> dict[str, Any] | None:
    if type == "multi-branch-split":
        return None
    if type in _SPLITS:
        return {"next_if_true": following, "next_if_false": None}
    return {"next": following}


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
        "conditional-split": {"profile_filter": _FRENCH},
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
