"""``--test``: does the key work, and may it read what is selected?"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tap_klaviyo import jsonapi
from tap_klaviyo.account import read_metrics
from tap_klaviyo.client import Client
from tap_klaviyo.discovery import Selected
from tap_klaviyo.errors import ApiError, TapError


def check(client: Client, selection: Sequence[Selected]) -> None:
    """Asks for one record of each kind of request that ``selection`` needs.

    Writes a table to stderr. Raises :class:`TapError` if the key or a scope is refused.
    """
    answers: dict[str, ApiError | None] = {}
    refused = []
    for selected in selection:
        query = jsonapi.query(selected.stream, selected.schema)
        scopes = ", ".join(dict.fromkeys((*query.scopes, *_METRICS[bool(selected.stream.metrics)])))
        url = query.url(selected.stream.variants[:1], page_size=1)
        if url not in answers:
            answers[url] = _ask(client, url, scopes, bool(selected.stream.metrics))
        fault = answers[url]
        print(f"{'no' if fault else 'ok':4}{selected.name:40}{scopes}", file=sys.stderr)
        if fault:
            refused.append(selected.name)
    if refused:
        faults = " ".join(dict.fromkeys(str(fault) for fault in answers.values() if fault))
        raise TapError(f"{len(refused)} of {len(selection)} streams cannot be read. {faults}")


_METRICS = {True: ("metrics:read",), False: ()}
"""A stream that is made of metrics has to find them first."""


def _ask(client: Client, url: str, scopes: str, metrics: bool) -> ApiError | None:
    try:
        if metrics:
            read_metrics(client)
        client.get(url, len, scopes)
    except ApiError as error:
        return error
    return None
