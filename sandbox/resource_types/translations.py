"""Resource types of translations, which revision 2026-10-15 adds."""

from collections.abc import Mapping
from dataclasses import replace

from sandbox.resource_types.flows import FLOWS
from sandbox.resource_types.model import Relationship, ResourceType, name_set

TRANSLATIONS: Mapping[str, ResourceType] = {
    "translation": ResourceType(
        "translations",
        "translations:read",
        name_set("source_locale target_locales fallback_locale channel metadata created updated"),
        {
            "campaign-variation": Relationship("campaign-variation"),
            "flow-message": Relationship("flow-message"),
            "template": Relationship("template"),
            "template-universal-content": Relationship("template-universal-content"),
            "consent-page": Relationship("consent-page"),
        },
        {"values": name_set("values")},
    ),
}

TRANSLATED_FLOW_MESSAGE = replace(
    FLOWS["flow-message"],
    attributes=name_set(
        """name channel created updated
        content(
            action_buttons android_link badge bcc_email body cc_email dynamic_image from_email
            from_label ios_link media_url on_open preview_text reply_to_email sound subject title
            web_url)"""
    ),
)
"""The flow message of a translation, which has other attributes than that of a flow action."""
