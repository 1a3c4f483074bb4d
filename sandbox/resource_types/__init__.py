"""The resource types: attributes and relationships of each, in one module per area."""

from collections.abc import Mapping

from sandbox.resource_types.account import ACCOUNT, BILLING
from sandbox.resource_types.brands import BRANDS
from sandbox.resource_types.campaigns import CAMPAIGNS
from sandbox.resource_types.commerce import COMMERCE
from sandbox.resource_types.content import CONTENT
from sandbox.resource_types.custom_objects import CUSTOM_OBJECTS
from sandbox.resource_types.events import EVENTS
from sandbox.resource_types.flows import FLOWS
from sandbox.resource_types.lists_segments import LISTS_SEGMENTS
from sandbox.resource_types.model import Relationship, ResourceType, name_set
from sandbox.resource_types.omnichannel_campaigns import OMNICHANNEL_CAMPAIGNS
from sandbox.resource_types.profiles import CLICK_TRACKING, PROFILES
from sandbox.resource_types.tags import TAGS
from sandbox.resource_types.text_messaging import TEXT_MESSAGING
from sandbox.resource_types.translations import TRANSLATIONS
from sandbox.revisions import REVISION, REVISION_2026_10_15

RESOURCE_TYPES: Mapping[str, ResourceType] = {
    **ACCOUNT,
    **CAMPAIGNS,
    **COMMERCE,
    **CONTENT,
    **CUSTOM_OBJECTS,
    **EVENTS,
    **FLOWS,
    **LISTS_SEGMENTS,
    **PROFILES,
    **TAGS,
}

RESOURCE_TYPES_2026_10_15: Mapping[str, ResourceType] = {
    **RESOURCE_TYPES,
    "coupon": RESOURCE_TYPES["coupon"].extended("assigner_configuration(used unused_expired)"),
    "profile": RESOURCE_TYPES["profile"].extended(subscriptions=CLICK_TRACKING),
    "template": RESOURCE_TYPES["template"].extended("screenshot_url"),
    **BILLING,
    **BRANDS,
    **OMNICHANNEL_CAMPAIGNS,
    **TEXT_MESSAGING,
    **TRANSLATIONS,
}

RESOURCE_TYPES_OF: Mapping[str, Mapping[str, ResourceType]] = {
    REVISION: RESOURCE_TYPES,
    REVISION_2026_10_15: RESOURCE_TYPES_2026_10_15,
}
"""The resource types of each implemented revision, the oldest first."""


def later_attributes(revision: str) -> dict[str, frozenset[str]]:
    """Dotted names of the attributes that later revisions add to types of a revision.

    What is inside an added attribute is left out. So are types without added attributes, and those
    that a later revision replaced.
    """
    types = RESOURCE_TYPES_OF[revision]
    later = [RESOURCE_TYPES_OF[one] for one in RESOURCE_TYPES_OF if one > revision]
    added: dict[str, frozenset[str]] = {}
    for name, resource_type in types.items():
        known = resource_type.all_attributes
        extensions = [one[name].all_attributes for one in later]
        extensions = [names for names in extensions if known < names]
        if extensions:
            names = frozenset().union(*extensions) - known
            added[name] = frozenset(one for one in names if one.rpartition(".")[0] not in names)
    return added


__all__ = [
    "RESOURCE_TYPES",
    "RESOURCE_TYPES_OF",
    "Relationship",
    "ResourceType",
    "later_attributes",
    "name_set",
]
