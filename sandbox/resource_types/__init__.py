"""The resource types: attributes and relationships of each, in one module per area."""

from collections.abc import Mapping

from sandbox.resource_types.account import ACCOUNT
from sandbox.resource_types.campaigns import CAMPAIGNS
from sandbox.resource_types.commerce import COMMERCE
from sandbox.resource_types.content import CONTENT
from sandbox.resource_types.custom_objects import CUSTOM_OBJECTS
from sandbox.resource_types.events import EVENTS
from sandbox.resource_types.flows import FLOWS
from sandbox.resource_types.lists_segments import LISTS_SEGMENTS
from sandbox.resource_types.model import Relationship, ResourceType, name_set
from sandbox.resource_types.profiles import PROFILES
from sandbox.resource_types.tags import TAGS

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

__all__ = ["RESOURCE_TYPES", "Relationship", "ResourceType", "name_set"]
