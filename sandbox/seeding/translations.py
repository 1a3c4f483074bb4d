"""Seeds translations of campaign variations, flow messages, templates and universal content."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.random_values import created_and_updated, random_id

_PER_TYPE = 9
_LOCALES: tuple[list[str], ...] = (["de"], ["de", "fr-FR"], ["ja", "nl", "pt-BR"], [])
_TRANSLATED = ("email", "sms", "mobile_push", "whatsapp")
# Klaviyo calls the channel of push messages otherwise in the details of a variation.
_CHANNELS = {"push": "mobile_push"}


def make_translations(
    rng: random.Random,
    now: datetime,
    campaigns: Sequence[Resource],
    actions: Sequence[Resource],
    templates: Sequence[Resource],
    contents: Sequence[Resource],
) -> list[Resource]:
    """Two pages of translations, of all channels and related types; only some are complete."""
    related = [
        *_some(_variations(campaigns), _channel_of_variation),
        *_some(_flow_messages(actions), lambda one: one.attributes["channel"]),
        *_some(iter(templates), lambda _: "email"),
        *_some(iter(contents), lambda _: "email"),
        (Resource("consent-page", random_id(rng, 6), {}), "web"),
    ]
    translations = []
    for number, (resource, channel) in enumerate(related):
        created, updated = created_and_updated(rng, now)
        locales = _LOCALES[number % len(_LOCALES)]
        is_complete = number % 5 > 0
        translation = Resource(
            "translation",
            f"{resource.type}::{channel}::{resource.id}",
            {
                "source_locale": "en",
                "target_locales": locales,
                "fallback_locale": "en" if is_complete else None,
                "channel": channel,
                "metadata": {"source": "api"} if number % 3 == 0 else None,
                "created": created if is_complete else None,
                "updated": updated if is_complete else None,
                "values": [
                    {
                        "id": block,
                        "source": f"For you {number}",
                        "translations": {one: f"🌷 {one} {number}" for one in locales},
                    }
                    for block in ("subject", "body", "preview_text")[: number % 4]
                ],
            },
            {resource.type: [_as_translated(resource)]},
            hidden={"resource_type": resource.type, "related_resource_id": resource.id},
        )
        translations.append(translation)
        if resource.type == "campaign-variation":
            resource.relationships["translation"] = [translation]
    return translations


def _some(resources: Iterator[Resource], channel: Any) -> Iterator[tuple[Resource, str]]:
    """Some of the resources, every other one, with their channels."""
    for number, resource in enumerate(resources):
        if number % 2 == 0 and number < 2 * _PER_TYPE:
            yield resource, channel(resource)


def _channel_of_variation(variation: Resource) -> str:
    channel: str = variation.attributes["definition"]["details"]["channel"]
    return _CHANNELS.get(channel, channel)


def _variations(campaigns: Sequence[Resource]) -> Iterator[Resource]:
    for campaign in campaigns:
        for message in campaign.related("campaign-messages"):
            yield from message.related("campaign-variations")


def _flow_messages(actions: Sequence[Resource]) -> Iterator[Resource]:
    for action in actions:
        for message in action.related("flow-messages"):
            if message.attributes["channel"] in _TRANSLATED:
                yield message


def _as_translated(resource: Resource) -> Resource:
    """A flow message has other attributes here than that of a flow action."""
    if resource.type != "flow-message":
        return resource
    known = resource.attributes
    content = known["definition"] or {}
    return Resource(
        resource.type,
        resource.id,
        {
            "name": resource.hidden["name"],
            "channel": known["channel"],
            "content": {"subject": content.get("subject_line"), "body": content.get("body")},
            "created": known["created"],
            "updated": known["updated"],
        },
        resource.relationships,
    )
