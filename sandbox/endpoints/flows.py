"""Endpoints of flows, their actions and messages."""

from collections.abc import Mapping

from sandbox.endpoints.campaigns import NOT_ARCHIVED
from sandbox.endpoints.model import Endpoint, PageSize, S, parse_filter_fields
from sandbox.resource_types import name_set

_DATE_FILTERS = """
    created  datetime  equals range
    updated  datetime  equals range
    """

FLOWS: Mapping[str, Endpoint] = {
    "/api/flows": Endpoint(
        "flow",
        S,
        PageSize(50, 50),
        parse_filter_fields(
            f"""
            id            string   any
            name          string   contains ends-with equals starts-with
            status        string   equals
            archived      boolean  equals
            trigger_type  string   equals
            {_DATE_FILTERS}
            """
        ),
        sorts=name_set("created id name status trigger_type updated"),
        includes=name_set("flow-actions tags"),
        default_filters=NOT_ARCHIVED,
    ),
    "/api/flows/{id}": Endpoint(
        "flow",
        S,
        includes=name_set("flow-actions tags"),
        additional=name_set("definition"),
        single=True,
    ),
    "/api/flows/{id}/flow-actions": Endpoint(
        "flow-action",
        S,
        PageSize(50, 50),
        parse_filter_fields(
            f"""
            id           string  any
            action_type  string  any equals
            status       string  equals
            {_DATE_FILTERS}
            """
        ),
        sorts=name_set("action_type created id status updated"),
        parent="flow",
        relationship="flow-actions",
    ),
    "/api/flow-actions/{id}": Endpoint("flow-action", S, single=True),
    "/api/flow-actions/{id}/flow-messages": Endpoint(
        "flow-message",
        S,
        PageSize(50, 50),
        parse_filter_fields(
            f"""
            id    string  any
            name  string  contains ends-with equals starts-with
            {_DATE_FILTERS}
            """
        ),
        sorts=name_set("created id name updated"),
        parent="flow-action",
        relationship="flow-messages",
    ),
}
