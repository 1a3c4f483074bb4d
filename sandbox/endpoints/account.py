"""Endpoints of account settings: accounts, tracking settings, webhooks."""

from collections.abc import Mapping

from sandbox.endpoints.model import XS, Endpoint, M, PageSize
from sandbox.resource_types import name_set

ACCOUNT: Mapping[str, Endpoint] = {
    "/api/accounts": Endpoint("account", XS),
    "/api/tracking-settings": Endpoint("tracking-setting", M, PageSize(1, 1)),
    "/api/webhook-topics": Endpoint("webhook-topic", XS),
    "/api/webhooks": Endpoint("webhook", XS, includes=name_set("webhook-topics")),
}
