"""Endpoints of account settings: accounts, tracking settings, webhooks, billing usage."""

from collections.abc import Mapping

from sandbox.endpoints.model import XS, Endpoint, M, PageSize, parse_filter_fields
from sandbox.resource_types import name_set

ACCOUNT: Mapping[str, Endpoint] = {
    "/api/accounts": Endpoint("account", XS),
    "/api/tracking-settings": Endpoint("tracking-setting", M, PageSize(1, 1)),
    "/api/webhook-topics": Endpoint("webhook-topic", XS),
    "/api/webhooks": Endpoint("webhook", XS, includes=name_set("webhook-topics")),
}

BILLING: Mapping[str, Endpoint] = {
    "/api/billing-usage": Endpoint(
        "billing-usage", M, filters=parse_filter_fields("id  string  any")
    ),
    "/api/billing-usage/{id}": Endpoint("billing-usage", M, single=True),
}
"""Endpoints that revision 2026-10-15 adds."""
