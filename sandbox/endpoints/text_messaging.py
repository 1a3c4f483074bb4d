"""Endpoints of text messaging settings, which revision 2026-10-15 adds."""

from collections.abc import Mapping

from sandbox.endpoints.model import Endpoint, PageSize, S
from sandbox.resource_types import name_set

_REGISTRATION = name_set("text-messaging-sender-registration")

TEXT_MESSAGING: Mapping[str, Endpoint] = {
    "/api/text-messaging-configurations/{id}": Endpoint(
        "text-messaging-configuration", S, single=True
    ),
    "/api/text-messaging-sender-registrations/{id}": Endpoint(
        "text-messaging-sender-registration",
        S,
        includes=name_set("text-messaging-sender"),
        single=True,
    ),
    "/api/text-messaging-senders": Endpoint(
        "text-messaging-sender",
        S,
        PageSize(10, 20),
        sorts=name_set("created_at"),
        includes=_REGISTRATION,
    ),
    "/api/text-messaging-senders/{id}": Endpoint(
        "text-messaging-sender", S, includes=_REGISTRATION, single=True
    ),
    "/api/text-messaging-senders/{id}/text-messaging-sender-registration": Endpoint(
        "text-messaging-sender-registration",
        S,
        parent="text-messaging-sender",
        relationship="text-messaging-sender-registration",
        single=True,
    ),
}
