"""The endpoints of campaigns and flows."""

from collections.abc import Mapping, Sequence

from sandbox.endpoints.model import Endpoint, M, PageSize, S, filters
from sandbox.filters import Condition
from sandbox.resource_types import words

CHANNELS = ("email", "sms", "mobile_push")

_UNARCHIVED = (Condition("equals", "archived", False),)
_DATED = """
    created  datetime  equals range
    updated  datetime  equals range
    """


def _channels(conditions: Sequence[Condition]) -> str | None:
    """One pass per channel: campaigns are only listed for one that exists."""
    for condition in conditions:
        if condition.field == "messages.channel" and condition.value not in CHANNELS:
            return f"'{condition.value}' is not a channel: use one of {', '.join(CHANNELS)}."
    return None


MAILINGS: Mapping[str, Endpoint] = {
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
        implied=_UNARCHIVED,
        check=_channels,
    ),
    "/api/campaigns/{id}/campaign-messages": Endpoint(
        "campaign-message",
        M,
        includes=words("campaign image template"),
        parent="campaign",
        via="campaign-messages",
    ),
    "/api/flows": Endpoint(
        "flow",
        S,
        PageSize(50, 50),
        filters(
            f"""
            id            string   any
            name          string   contains ends-with equals starts-with
            status        string   equals
            archived      boolean  equals
            trigger_type  string   equals
            {_DATED}
            """
        ),
        sorts=words("created id name status trigger_type updated"),
        includes=words("flow-actions tags"),
        implied=_UNARCHIVED,
    ),
    "/api/flows/{id}": Endpoint(
        "flow",
        S,
        includes=words("flow-actions tags"),
        additional=words("definition"),
        single=True,
    ),
    "/api/flows/{id}/flow-actions": Endpoint(
        "flow-action",
        S,
        PageSize(50, 50),
        filters(
            f"""
            id           string  any
            action_type  string  any equals
            status       string  equals
            {_DATED}
            """
        ),
        sorts=words("action_type created id status updated"),
        parent="flow",
        via="flow-actions",
    ),
    "/api/flow-actions/{id}/flow-messages": Endpoint(
        "flow-message",
        S,
        PageSize(50, 50),
        filters(
            f"""
            id    string  any
            name  string  contains ends-with equals starts-with
            {_DATED}
            """
        ),
        sorts=words("created id name updated"),
        parent="flow-action",
        via="flow-messages",
    ),
}
