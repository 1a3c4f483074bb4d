"""The GET endpoints: what each returns and which parameters it accepts, one module per area."""

from collections.abc import Mapping

from sandbox.endpoints.account import ACCOUNT
from sandbox.endpoints.campaigns import CAMPAIGNS
from sandbox.endpoints.commerce import COMMERCE
from sandbox.endpoints.content import CONTENT
from sandbox.endpoints.custom_objects import CUSTOM_OBJECTS
from sandbox.endpoints.events import EVENTS
from sandbox.endpoints.flows import FLOWS
from sandbox.endpoints.lists_segments import LISTS_SEGMENTS
from sandbox.endpoints.model import Endpoint
from sandbox.endpoints.profiles import PROFILES
from sandbox.endpoints.tags import TAGS

ENDPOINTS: Mapping[str, Endpoint] = {
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

__all__ = ["ENDPOINTS"]
