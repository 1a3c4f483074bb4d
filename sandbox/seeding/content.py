"""Seeds templates, universal content, images, forms and web feeds."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.random_values import created_and_updated, random_id, random_uuid

_EDITORS = ("SYSTEM_DRAGGABLE", "CODE", "USER_DRAGGABLE", "SIMPLE")
_TEMPLATES, _UNIVERSAL, _IMAGES, _FORMS, _FEEDS = 43, 27, 130, 29, 13
_BLOCKS = ("text", "html", "button", "image")
_FORM_TYPES = ("popup", "flyout", "embed", "full_page", "banner")
_FEED_STATUSES = ("ok", "refreshing", "disabled", "critical_nightly_refresh_timeout", None)


def make_templates(rng: random.Random, now: datetime) -> list[Resource]:
    """Five pages of templates of all editor types; only one type has definitions."""
    return [_template(rng, number, now) for number in range(_TEMPLATES)]


def make_universal_contents(rng: random.Random, now: datetime) -> list[Resource]:
    """Two pages of universal content; some block types have no data."""
    contents = []
    for number in range(_UNIVERSAL):
        created, updated = created_and_updated(rng, now)
        done = number % 3 > 0
        attributes = {
            "name": f"Content {number} – Fuß",
            "definition": _block(_BLOCKS[number % len(_BLOCKS)]) if number != 5 else None,
            "created": created,
            "updated": updated,
            "screenshot_status": "completed" if done else "never_generated",
            "screenshot_url": f"https://images.example.com/content/{number}.png" if done else "",
        }
        contents.append(Resource("template-universal-content", random_uuid(rng), attributes))
    return contents


def make_images(rng: random.Random, now: datetime) -> list[Resource]:
    """Two pages of images: some are hidden, one is larger than 4 GiB."""
    images = []
    for number in range(_IMAGES):
        format = rng.choice(("jpeg", "png", "gif"))
        attributes = {
            "name": f"image {number}.{format}" if number else "Ünïcode 🌷.png",
            "image_url": f"https://images.example.com/{number}.{format}",
            "format": format,
            "size": rng.randrange(2_000, 5_000_000) if number != 3 else 5_000_000_000,
            "hidden": number % 9 == 4,
            "updated_at": created_and_updated(rng, now)[1],
        }
        images.append(Resource("image", str(rng.randrange(10**8, 10**9)), attributes))
    return images


def make_forms(rng: random.Random, now: datetime) -> list[Resource]:
    """Two pages of forms with up to three versions each."""
    forms = []
    for number in range(_FORMS):
        created, updated = created_and_updated(rng, now)
        status, labels = ("live", "draft")[number % 3 == 1], "ABC"[: number % 4]
        form = Resource(
            "form",
            random_id(rng, 6),
            {
                "name": f"Form {number} – Anmeldung",
                "status": status,
                "ab_test": len(labels) > 1,
                "created_at": created,
                "updated_at": updated,
            },
        )
        versions = [
            Resource(
                "form-version",
                str(rng.randrange(10**6, 10**7)),
                {
                    "form_type": _FORM_TYPES[(number + place) % len(_FORM_TYPES)],
                    "variation_name": f"Variation {label}",
                    "ab_test": {"variation_name": label} if len(labels) > 1 else None,
                    "status": status,
                    "created_at": created,
                    "updated_at": updated,
                },
                {"form": [form]},
            )
            for place, label in enumerate(labels)
        ]
        form.relationships["form-versions"] = versions
        form.change(definition={"versions": [_form_version(version) for version in versions]})
        forms.append(form)
    return forms


def make_web_feeds(rng: random.Random, now: datetime) -> list[Resource]:
    """Three pages of web feeds with all statuses."""
    feeds = []
    for number in range(_FEEDS):
        created, updated = created_and_updated(rng, now)
        attributes = {
            "name": f"Feed_{number}",
            "url": f"https://shop.example.com/feeds/{number}.json?a=b&c=d",
            "request_method": ("get", "post")[number % 2],
            "content_type": ("json", "xml")[number % 3 == 2],
            "status": _FEED_STATUSES[number % len(_FEED_STATUSES)],
            "created": created,
            "updated": updated,
        }
        feeds.append(Resource("web-feed", random_uuid(rng), attributes))
    return feeds


def _template(rng: random.Random, number: int, now: datetime) -> Resource:
    created, updated = created_and_updated(rng, now)
    editor = _EDITORS[number % len(_EDITORS)]
    id = random_id(rng, 6)
    attributes: dict[str, Any] = {
        "name": f"Template {number}" if number else "Frühling 🌷",
        "editor_type": editor,
        "html": f"<html><body>{'Grüße & <b>mehr</b> ' * (1 + number * 7)}</body></html>",
        "text": f"Grüße {number}" if number % 3 else None,
        "amp": None,
        "created": None if number == 9 else created,
        "updated": None if number == 9 else updated,
        "definition": _template_definition(id) if editor == "SYSTEM_DRAGGABLE" else None,
        "screenshot_url": f"https://images.example.com/template/{number}.png?X-Amz-Expires=86400"
        if number % 5
        else None,
    }
    return Resource("template", id, attributes)


def _template_definition(id: str) -> dict[str, Any]:
    section = {
        "id": "1",
        "content_type": "section",
        "type": "section",
        "data": {"properties": {}, "display_options": {"show_on": "all"}, "styles": {}},
        "rows": [
            {
                "id": "2",
                "data": {"styles": {"column_layout": "1-column-full-width"}},
                "columns": [{"id": "3", "data": {}, "blocks": [{"id": "4", **_block("html")}]}],
            }
        ],
    }
    return {
        "id": id,
        "template_id": id,
        "styles": [],
        "body": {
            "id": "0",
            "properties": {"id": None, "css_class": None},
            "styles": {"background_color": "#ffffff", "width": 600},
            "sections": [section],
        },
    }


def _block(type: str) -> dict[str, Any]:
    shown = {"show_on": "all", "visible_check": None, "content_repeat": None}
    data: dict[str, dict[str, Any]] = {
        "text": {
            "content": "<p>Grüße</p>",
            "display_options": {
                **shown,
                "content_repeat": {"repeat_for": "event.items", "item_alias": "item"},
            },
            "styles": {"color": "#222", "font_size": 16, "text_align": "left"},
        },
        "html": {"content": "<hr>", "display_options": shown},
    }
    return {"content_type": "block", "type": type, "data": data.get(type)}


def _form_version(version: Resource) -> dict[str, Any]:
    button = {
        "id": "b",
        "type": "button",
        "properties": {"label": "Anmelden", "display_device": ["both"]},
        "action": {"type": "close", "submit": True, "properties": {"list_id": None}},
    }
    rows: Sequence[dict[str, Any]] = [{"id": "r", "blocks": [button]}]
    return {
        "id": int(version.id),
        "name": version.attributes["variation_name"],
        "type": version.attributes["form_type"].replace("full_page", "full_screen"),
        "status": version.attributes["status"],
        "location": None,
        "steps": [{"id": "s", "name": "Email", "columns": [{"id": "c", "rows": rows}]}],
        "triggers": [],
    }
