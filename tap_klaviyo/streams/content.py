"""Rows of the registry: templates, images, forms and web feeds."""

from __future__ import annotations

from tap_klaviyo.streams.builders import by_id, children, listed
from tap_klaviyo.streams.model import PARENT, Parent

CONTENT = (
    listed(
        "templates",
        "template",
        "Email templates.",
        "L",
        10,
        "templates:read",
        additional_fields=("definition",),
        fields_not_by_default=("definition",),
    ),
    listed(
        "universal_content",
        "universal_content",
        "Universal content: blocks and sections shared by templates.",
        "L",
        100,
        "templates:read",
        path="/api/template-universal-content",
        type="template-universal-content",
    ),
    listed("images", "image", "Uploaded images.", "M", 100, "images:read"),
    listed("forms", "form", "Sign-up forms.", "S", 100, "forms:read"),
    children(
        "form_versions",
        "form_version",
        "Versions of sign-up forms.",
        "S",
        100,
        "forms:read",
        parent=Parent("forms", "form_id"),
    ),
    by_id(
        "form_definitions",
        "form_definition",
        "Definition of each sign-up form: the content, design and behaviour of its versions.",
        "S",
        "forms:read",
        path=f"/api/forms/{PARENT}",
        type="form",
        parent=Parent("forms", "form_id"),
    ),
    listed("web_feeds", "web_feed", "Web feeds used in templates.", "XS", 20, "web-feeds:read"),
)
