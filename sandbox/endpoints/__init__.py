"""The GET endpoints: what each returns and which parameters it accepts, one module per area."""

from collections.abc import Mapping
from dataclasses import replace

from sandbox.endpoints.account import ACCOUNT, BILLING
from sandbox.endpoints.brands import BRANDS
from sandbox.endpoints.campaigns import CAMPAIGNS
from sandbox.endpoints.commerce import COMMERCE
from sandbox.endpoints.content import CONTENT
from sandbox.endpoints.custom_objects import CUSTOM_OBJECTS
from sandbox.endpoints.events import EVENTS
from sandbox.endpoints.flows import FLOWS
from sandbox.endpoints.lists_segments import LISTS_SEGMENTS
from sandbox.endpoints.model import Endpoint
from sandbox.endpoints.omnichannel_campaigns import OMNICHANNEL_CAMPAIGNS
from sandbox.endpoints.profiles import PROFILES
from sandbox.endpoints.tags import TAGS
from sandbox.endpoints.text_messaging import TEXT_MESSAGING
from sandbox.endpoints.translations import TRANSLATIONS
from sandbox.revisions import REVISION, REVISION_2026_10_15

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

_ENDPOINTS_2026_10_15: Mapping[str, Endpoint] = {
    **ENDPOINTS,
    **BILLING,
    **BRANDS,
    **OMNICHANNEL_CAMPAIGNS,
    **TEXT_MESSAGING,
    **TRANSLATIONS,
}

ENDPOINTS_OF: Mapping[str, Mapping[str, Endpoint]] = {
    REVISION: ENDPOINTS,
    REVISION_2026_10_15: {
        path: replace(endpoint, revision=REVISION_2026_10_15)
        for path, endpoint in _ENDPOINTS_2026_10_15.items()
    },
}
"""The endpoints of each implemented revision by path."""

__all__ = ["ENDPOINTS", "ENDPOINTS_OF"]
