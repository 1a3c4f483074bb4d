"""``--test``: does the key work, and may it read what is selected?"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tap_klaviyo import account, jsonapi
from tap_klaviyo.client import Client
from tap_klaviyo.discovery import Selected
from tap_klaviyo.errors import ApiError, TapError
from tap_klaviyo.jsonapi import Query


def check(client: Client, selection: Sequence[Selected]) -> None:
    """Asks for one record of each kind of request that ``selection`` needs.

    Writes a table to stderr. Raises :class:`TapError` if the key or a scope is refused.
    """
    answers: dict[str, ApiError | None] = {}
    refused = []
    for selected in selection:
        query = jsonapi.query(selected.stream, selected.schema)
        made_of_metrics = bool(selected.stream.metrics)
        needed = (*query.scopes, *(account.QUERY.scopes if made_of_metrics else ()))
        scopes = ", ".join(dict.fromkeys(needed))
        url = query.url(selected.stream.variants[:1], page_size=1)
        if url not in answers:
            answers[url] = _ask(client, url, query, made_of_metrics)
        fault = answers[url]
        print(f"{'no' if fault else 'ok':4}{selected.name:40}{scopes}", file=sys.stderr)
        if fault:
            refused.append(selected.name)
    if refused:
        faults = " ".join(dict.fromkeys(str(fault) for fault in answers.values() if fault))
        raise TapError(f"{len(refused)} of {len(selection)} streams cannot be read. {faults}")


def _ask(client: Client, url: str, query: Query, made_of_metrics: bool) -> ApiError | None:
    """The refusal, if there is one. What is made of metrics has to find them first."""
    try:
        if made_of_metrics:
            account.read_metrics(client)
        client.get(url, query, lambda body: body)
    except ApiError as error:
        return error
    return None
