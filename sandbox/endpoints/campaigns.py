"""Endpoints of campaigns and their messages."""

from collections.abc import Mapping, Sequence

from sandbox.endpoints.model import Endpoint, M, PageSize, parse_filter_fields
from sandbox.filters import Condition
from sandbox.resource_types import name_set

CHANNELS = ("email", "sms", "mobile_push")

NOT_ARCHIVED = (Condition("equals", "archived", False),)


def _check_channels(conditions: Sequence[Condition]) -> str | None:
    """The error detail if a channel does not exist."""
    for condition in conditions:
        if condition.field == "messages.channel" and condition.value not in CHANNELS:
            return f"'{condition.value}' is not a channel: use one of {', '.join(CHANNELS)}."
    return None


CAMPAIGNS: Mapping[str, Endpoint] = {
    "/api/campaign-recipient-estimations/{id}": Endpoint(
        "campaign-recipient-estimation", M, single=True
    ),
    "/api/campaigns": Endpoint(
        "campaign",
        M,
        PageSize(100, 100),
        parse_filter_fields(
            """
            id                string    any
            messages.channel  string    equals
            name              string    contains
            status            string    equals any
            archived          boolean   equals
            created_at        datetime  range
            scheduled_at      datetime  range
            updated_at        datetime  range
            """
        ),
        sorts=name_set("created_at id name scheduled_at updated_at"),
        default_sort="-created_at",
        includes=name_set("campaign-messages tags"),
        required_filters=name_set("messages.channel"),
        default_filters=NOT_ARCHIVED,
        check_filter=_check_channels,
    ),
    "/api/campaigns/{id}": Endpoint(
        "campaign", M, includes=name_set("campaign-messages tags"), single=True
    ),
    "/api/campaigns/{id}/campaign-messages": Endpoint(
        "campaign-message",
        M,
        includes=name_set("campaign image template"),
        parent="campaign",
        relationship="campaign-messages",
    ),
}
