"""What Klaviyo may add to its answers without a new revision: hints for agents, and attributes."""

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sandbox.documents import dumps
from sandbox.http_messages import Response

EXTRA_ATTRIBUTE = "extra_attribute"

_META = {"agent_hints": {"next_steps": ["Request the next page if links.next is not null."]}}
_VALUE = {"text": "Neu 🌷", "number": 1.5, "list": [None, True]}


def with_extras(response: Response, sparse_types: Collection[str] = ()) -> Response:
    """The response with agent hints, and with an unknown attribute in each resource.

    Resources of `sparse_types`, which have sparse fieldsets, get no attribute.
    """
    document: dict[str, Any] = json.loads(response.body)
    data = document["data"]
    resources = [*(data if isinstance(data, list) else [data]), *document.get("included", ())]
    for resource in filter(None, resources):
        if "attributes" in resource and resource["type"] not in sparse_types:
            resource["attributes"][EXTRA_ATTRIBUTE] = _VALUE
    return replace(response, body=dumps({**document, "meta": _META}))
