"""Endpoints of flows, their actions and messages."""

from collections.abc import Mapping

from sandbox.endpoints.campaigns import NOT_ARCHIVED
from sandbox.endpoints.model import Endpoint, PageSize, S, filters
from sandbox.resource_types import words

_DATED = """
    created  datetime  equals range
    updated  datetime  equals range
    """

FLOWS: Mapping[str, Endpoint] = {
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
        implied=NOT_ARCHIVED,
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
