"""Resource types of text messaging settings, which revision 2026-10-15 adds."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_SCOPE = "sender-config:read"

TEXT_MESSAGING: Mapping[str, ResourceType] = {
    "text-messaging-configuration": ResourceType(
        "text-messaging-configurations",
        _SCOPE,
        name_set("org_prefix opt_out_language status created_at updated_at"),
    ),
    "text-messaging-sender": ResourceType(
        "text-messaging-senders",
        _SCOPE,
        name_set(
            """sender_type sender_details(country) status created_at forwarding_number
            sender_identifier"""
        ),
        {"text-messaging-sender-registration": Relationship("text-messaging-sender-registration")},
    ),
    "text-messaging-sender-registration": ResourceType(
        "text-messaging-sender-registrations",
        _SCOPE,
        name_set("status failures created_at updated_at submitted_at decided_at"),
        {"text-messaging-sender": Relationship("text-messaging-sender", always=True)},
    ),
}
