"""Seeds the brand library."""

import random
from collections.abc import Sequence
from typing import Any

from sandbox.resources import Resource

_BUTTONS, _COLORS, _LOGOS, _SOCIAL_GROUPS = 7, 5, 6, 4


def make_brands(
    rng: random.Random, account: Resource, images: Sequence[Resource]
) -> list[list[Resource]]:
    """Buttons, colors, logos, social groups, email defaults and voice of the account.

    The last two have the id of the account. Some logos have no image, and most names may be null.
    """
    buttons = [_button(rng, number) for number in range(_BUTTONS)]
    colors = [_color(rng, number) for number in range(_COLORS)]
    logos = [_logo(rng, number, images) for number in range(_LOGOS)]
    groups = [_social_group(rng, number) for number in range(_SOCIAL_GROUPS)]
    defaults = Resource(
        "brand-email-default",
        account.id,
        {
            "body": {
                "background_color": "#ffffff",
                "body_background_color": "#f5f5f5",
                "text": _text(16),
                **{f"h{level}_text": _text(44 - 6 * level) for level in range(1, 5)},
                "link_text": _link_text(),
            },
            "header": {
                "background_color": "#000000",
                "links": [{"text": "Tulpen 🌷", "url": "https://shop.example.com/tulpen"}],
                "link_text": _link_text(),
                "logo_max_width": 160,
            },
            "footer": {
                "background_color": "#ffffff",
                "text": _text(12),
                "link_text": _link_text(),
                "social_group_color": "default",
            },
        },
        {
            "brand-button": buttons[:1],
            "brand-logo": logos[:1],
            "brand-social-group": groups[:1],
        },
    )
    return [buttons, colors, logos, groups, [defaults], [_voice(account)]]


def _id(rng: random.Random) -> str:
    return str(rng.randrange(10**5, 10**6))


def _text(size: int) -> dict[str, Any]:
    return {
        "color": "#222222",
        "font_size": size,
        "font_style": "normal",
        "font_family": "Arial, 'Helvetica Neue', sans-serif",
        "font_weight": 400,
        "letter_spacing": 0 if size < 20 else "0.5px",
        "text_decoration": "none",
    }


def _link_text() -> dict[str, Any]:
    unset = dict.fromkeys(("font_size", "font_weight", "font_family", "letter_spacing"))
    return {"color": "#197bbd", "font_style": "normal", "text_decoration": "underline", **unset}


def _button(rng: random.Random, number: int) -> Resource:
    sides = ("top", "right", "bottom", "left")
    attributes = {
        "name": f"Button {number}" if number % 3 else None,
        "is_primary": number == 0,
        "style": {
            "background_color": "#197bbd",
            "border_radius": number,
            "box_shadow": "none",
            "is_shadow_active": number % 2 == 0,
        },
        "border": {
            "border_color": "#000000",
            "border_style": ("solid", "dashed", "dotted")[number % 3],
            "border_width": number % 2,
            "is_border_active": number % 2 == 1,
        },
        "spacing": {f"padding_{side}": rng.randrange(20) for side in sides},
        "text": _text(14 + number),
        "preview_page_hex": "#eeeeee" if number % 2 else None,
    }
    return Resource("brand-button", _id(rng), attributes)


def _color(rng: random.Random, number: int) -> Resource:
    colors = [
        {"hex": f"#{rng.randrange(16**6):06x}", "name": f"Farbe {place} 🎨"}
        for place in range(number)
    ]
    attributes = {
        "name": f"Palette {number}" if number % 3 else None,
        "colors": colors if number != 1 else None,
    }
    return Resource("brand-color", _id(rng), attributes)


def _logo(rng: random.Random, number: int, images: Sequence[Resource]) -> Resource:
    attributes = {
        "width": 320 if number % 4 else None,
        "height": 80 if number % 4 else None,
        "alt_text": "The shop" if number % 2 else None,
        "link_url": "https://shop.example.com" if number % 3 else None,
        "name": f"Logo {number}" if number else None,
    }
    image = {"image": [rng.choice(images)] if number % 3 != 2 else []}
    return Resource("brand-logo", _id(rng), attributes, image)


def _social_group(rng: random.Random, number: int) -> Resource:
    links = [
        {"platform": "x_twitter", "link_url": "https://x.example.com/shop"},
        {
            "platform": "custom",
            "link_url": "https://shop.example.com/blog",
            "asset_id": None,
            "asset_url": None,
            "width": 32,
            "height": 32,
        },
    ]
    attributes = {
        "name": f"Socials {number}" if number % 2 else None,
        "social_links": links[:number] if number else None,
    }
    return Resource("brand-social-group", _id(rng), attributes)


def _voice(account: Resource) -> Resource:
    described = {"name": "warm", "description": "Wie ein Freund", "user_modified": True}
    attributes = {
        "version": "v1",
        "tone_descriptors": [described],
        "language_patterns": [{**described, "name": "short", "user_modified": False}],
    }
    return Resource("brand-voice", account.id, attributes)
