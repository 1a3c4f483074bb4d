"""Endpoints of translations, which revision 2026-10-15 adds."""

from collections.abc import Mapping, Sequence

from sandbox.endpoints.model import Endpoint, M, PageSize, parse_filter_fields
from sandbox.filters import Condition
from sandbox.resource_types import name_set
from sandbox.resource_types.translations import TRANSLATED_FLOW_MESSAGE

_CHANNELS = ("email", "sms", "mobile_push", "whatsapp", "web")
_INCLUDES = name_set("campaign-variation flow-message template template-universal-content")
_OWN_TYPES = {"flow-message": TRANSLATED_FLOW_MESSAGE}


def _check_channel(conditions: Sequence[Condition]) -> str | None:
    """The error detail if a channel does not exist."""
    for condition in conditions:
        if condition.field == "channel" and condition.value not in _CHANNELS:
            return f"'{condition.value}' is not a channel: use one of {', '.join(_CHANNELS)}."
    return None


def _related(resource_type: str) -> Endpoint:
    """What a translation translates; it needs the scope of translations as well."""
    return Endpoint(
        resource_type,
        M,
        scopes=frozenset({"translations:read"}),
        parent="translation",
        relationship=resource_type,
        single=True,
        own_types=_OWN_TYPES,
    )


TRANSLATIONS: Mapping[str, Endpoint] = {
    "/api/translations": Endpoint(
        "translation",
        M,
        PageSize(20, 100),
        parse_filter_fields(
            """
            id                   string  any equals
            resource_type        string  equals
            channel              string  equals
            related_resource_id  string  equals
            """
        ),
        sorts=name_set("id"),
        includes=_INCLUDES,
        check_filter=_check_channel,
        own_types=_OWN_TYPES,
    ),
    "/api/translations/{id}": Endpoint(
        "translation",
        M,
        includes=_INCLUDES,
        additional=name_set("values"),
        single=True,
        own_types=_OWN_TYPES,
    ),
    "/api/translations/{id}/campaign-variation": _related("campaign-variation"),
    "/api/translations/{id}/flow-message": _related("flow-message"),
    "/api/translations/{id}/template": _related("template"),
    "/api/translations/{id}/template-universal-content": _related("template-universal-content"),
}
