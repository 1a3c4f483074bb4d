"""Endpoints of the brand library, which revision 2026-10-15 adds."""

from collections.abc import Mapping

from sandbox.endpoints.model import Endpoint, M
from sandbox.resource_types import name_set

_DEFAULTS = name_set("brand-button brand-logo brand-social-group")
_IMAGE = name_set("image")

BRANDS: Mapping[str, Endpoint] = {
    "/api/brand-buttons": Endpoint("brand-button", M),
    "/api/brand-buttons/{id}": Endpoint("brand-button", M, single=True),
    "/api/brand-colors": Endpoint("brand-color", M),
    "/api/brand-colors/{id}": Endpoint("brand-color", M, single=True),
    "/api/brand-email-defaults": Endpoint("brand-email-default", M, includes=_DEFAULTS),
    "/api/brand-email-defaults/{id}": Endpoint(
        "brand-email-default", M, includes=_DEFAULTS, single=True
    ),
    "/api/brand-logos": Endpoint("brand-logo", M, includes=_IMAGE),
    "/api/brand-logos/{id}": Endpoint("brand-logo", M, includes=_IMAGE, single=True),
    "/api/brand-social-groups": Endpoint("brand-social-group", M),
    "/api/brand-social-groups/{id}": Endpoint("brand-social-group", M, single=True),
    "/api/brand-voice/{id}": Endpoint("brand-voice", M, single=True),
}
