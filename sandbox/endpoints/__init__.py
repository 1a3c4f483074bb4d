"""What each endpoint allows, as tables by area. A further endpoint is a further row."""

from collections.abc import Mapping

from sandbox.endpoints.campaigns import MAILINGS
from sandbox.endpoints.commerce import SHOP
from sandbox.endpoints.content import CONTENTS
from sandbox.endpoints.custom_objects import OBJECTS
from sandbox.endpoints.events import HAPPENINGS
from sandbox.endpoints.model import Endpoint
from sandbox.endpoints.profiles import PEOPLE

ENDPOINTS: Mapping[str, Endpoint] = {
    **HAPPENINGS,
    **PEOPLE,
    **MAILINGS,
    **CONTENTS,
    **SHOP,
    **OBJECTS,
}

__all__ = ["ENDPOINTS"]
