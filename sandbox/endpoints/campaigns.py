"""Endpoints of campaigns and their messages."""

from collections.abc import Mapping, Sequence

from sandbox.endpoints.model import Endpoint, M, PageSize, filters
from sandbox.filters import Condition
from sandbox.resource_types import words

CHANNELS = ("email", "sms", "mobile_push")

NOT_ARCHIVED = (Condition("equals", "archived", False),)


def _channels(conditions: Sequence[Condition]) -> str | None:
    """One pass per channel: campaigns are only listed for one that exists."""
    for condition in conditions:
        if condition.field == "messages.channel" and condition.value not in CHANNELS:
            return f"'{condition.value}' is not a channel: use one of {', '.join(CHANNELS)}."
    return None


CAMPAIGNS: Mapping[str, Endpoint] = {
    "/api/campaigns": Endpoint(
        "campaign",
        M,
        PageSize(100, 100),
        filters(
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
        sorts=words("created_at id name scheduled_at updated_at"),
        default_sort="-created_at",
        includes=words("campaign-messages tags"),
        required=words("messages.channel"),
        implied=NOT_ARCHIVED,
        check=_channels,
    ),
    "/api/campaigns/{id}/campaign-messages": Endpoint(
        "campaign-message",
        M,
        includes=words("campaign image template"),
        parent="campaign",
        via="campaign-messages",
    ),
}
