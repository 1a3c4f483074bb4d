"""Resource types of translations, which revision 2026-10-15 adds."""

from collections.abc import Mapping

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

TRANSLATED_FLOW_MESSAGE = ResourceType(
    "flow-messages",
    "flows:read",
    name_set("name channel content created updated"),
    {
        "flow-action": Relationship("flow-action", always=True),
        "template": Relationship("template"),
    },
)
"""The flow message of a translation, which has other attributes than that of a flow action."""
