"""Endpoints of campaigns, messages, variations and audiences in revision 2026-10-15."""

from collections.abc import Mapping

from sandbox.endpoints.campaigns import NOT_ARCHIVED
from sandbox.endpoints.model import Endpoint, M, PageSize, S, parse_filter_fields
from sandbox.resource_types import name_set

_CAMPAIGN_INCLUDES = name_set("campaign-audiences campaign-messages tags")

OMNICHANNEL_CAMPAIGNS: Mapping[str, Endpoint] = {
    "/api/campaign-audiences/{id}": Endpoint(
        "campaign-audience", M, includes=name_set("campaign campaign-messages"), single=True
    ),
    "/api/campaign-audiences/{id}/campaign": Endpoint(
        "campaign", M, parent="campaign-audience", relationship="campaign", single=True
    ),
    "/api/campaign-audiences/{id}/campaign-messages": Endpoint(
        "campaign-message",
        M,
        PageSize(100),
        parent="campaign-audience",
        relationship="campaign-messages",
    ),
    # Whether messages of archived campaigns are listed is not documented; here they are.
    "/api/campaign-messages": Endpoint(
        "campaign-message",
        M,
        PageSize(20, 100),
        parse_filter_fields(
            """
            id           string    any equals
            campaign_id  string    equals
            name         string    contains
            status       string    equals
            created      datetime  range
            updated      datetime  range
            """
        ),
        sorts=name_set("created id name status updated"),
        includes=name_set("campaign"),
    ),
    "/api/campaign-messages/{id}": Endpoint(
        "campaign-message", M, includes=name_set("campaign campaign-variations"), single=True
    ),
    "/api/campaign-messages/{id}/campaign-audience": Endpoint(
        "campaign-audience",
        M,
        parent="campaign-message",
        relationship="campaign-audience",
        single=True,
    ),
    "/api/campaign-messages/{id}/campaign-variations": Endpoint(
        "campaign-variation", M, parent="campaign-message", relationship="campaign-variations"
    ),
    "/api/campaign-messages/{id}/tags": Endpoint(
        "tag",
        S,
        scopes=frozenset({"campaigns:read"}),
        parent="campaign-message",
        relationship="tags",
    ),
    "/api/campaign-variations/{id}": Endpoint(
        "campaign-variation",
        M,
        includes=name_set("campaign-message image translation"),
        single=True,
    ),
    "/api/campaign-variations/{id}/campaign-message": Endpoint(
        "campaign-message",
        M,
        parent="campaign-variation",
        relationship="campaign-message",
        single=True,
    ),
    "/api/campaign-variations/{id}/image": Endpoint(
        "image",
        M,
        scope="campaigns:read",
        parent="campaign-variation",
        relationship="image",
        single=True,
    ),
    "/api/campaign-variations/{id}/translation": Endpoint(
        "translation",
        M,
        scope="campaigns:read",
        parent="campaign-variation",
        relationship="translation",
        single=True,
    ),
    "/api/campaigns": Endpoint(
        "campaign",
        M,
        PageSize(100, 100),
        parse_filter_fields(
            """
            id          string    any
            name        string    contains
            archived    boolean   equals
            builder     string    equals
            created_at  datetime  range
            updated_at  datetime  range
            """
        ),
        sorts=name_set("created_at id name updated_at"),
        default_sort="-created_at",
        includes=_CAMPAIGN_INCLUDES,
        # Not documented: assumed to be as in revision 2026-07-15.
        default_filters=NOT_ARCHIVED,
    ),
    "/api/campaigns/{id}": Endpoint("campaign", M, includes=_CAMPAIGN_INCLUDES, single=True),
    "/api/campaigns/{id}/campaign-audiences": Endpoint(
        "campaign-audience", M, parent="campaign", relationship="campaign-audiences"
    ),
    "/api/campaigns/{id}/campaign-messages": Endpoint(
        "campaign-message",
        M,
        PageSize(100),
        includes=name_set("campaign"),
        parent="campaign",
        relationship="campaign-messages",
    ),
}
