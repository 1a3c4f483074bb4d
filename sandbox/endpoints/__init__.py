"""What each endpoint allows, as tables by area. A further endpoint is a further row."""

from collections.abc import Mapping

from sandbox.endpoints.contents import CONTENTS
from sandbox.endpoints.happenings import HAPPENINGS
from sandbox.endpoints.mailings import MAILINGS
from sandbox.endpoints.objects import OBJECTS
from sandbox.endpoints.people import PEOPLE
from sandbox.endpoints.shop import SHOP
from sandbox.rules import Endpoint

ENDPOINTS: Mapping[str, Endpoint] = {
    **HAPPENINGS,
    **PEOPLE,
    **MAILINGS,
    **CONTENTS,
    **SHOP,
    **OBJECTS,
}

__all__ = ["ENDPOINTS"]
