"""What the account has: its metrics, by name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tap_klaviyo.client import Client, Trail
from tap_klaviyo.jsonapi import Query
from tap_klaviyo.streams import STREAMS

QUERY = Query(
    path="/api/metrics",
    parameters={"fields[metric]": "name,integration"},
    scopes=("metrics:read",),
    tier="M",
)


@dataclass(frozen=True)
class Metric:
    """One metric and the name of the integration that it belongs to."""

    id: str
    name: str
    integration: str


class Metrics:
    """All metrics of an account. Ids differ between accounts, names are not unique."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def ids(self, names: Iterable[str], integration: str) -> list[str]:
        """The ids of the metrics that have one of the ``names``, or it for an id.

        Letter case of a name does not count. Only those of ``integration`` count, unless that is
        empty. A metric may be renamed, or exist under its old and its new name, or twice under one.
        """
        names = tuple(names)
        wanted = {name.casefold() for name in names}
        matching = (
            metric.id
            for metric in self._metrics
            if (metric.name.casefold() in wanted or metric.id in names)
            and integration.casefold() in ("", metric.integration.casefold())
        )
        return list(dict.fromkeys(matching))

    def stream_names(self) -> dict[str, str]:
        """The stream to which each metric id belongs, for those that belong to one."""
        return {
            identifier: stream.name
            for stream in STREAMS
            for identifier in self.ids(stream.metrics, stream.integration)
        }


def read_metrics(client: Client) -> Metrics:
    """All metrics of the account, every page. Raises what :meth:`Client.get` does."""
    found: list[Metric] = []
    url: str | None = QUERY.url((), page_size=None)
    trail = Trail()
    while url:
        page, following = client.get(url, QUERY, lambda body: _parse(body.unpacked()))
        found += page
        url = following and trail.follow(following, QUERY.path, empty=not page)
    return Metrics(found)


def _parse(body: bytes) -> tuple[list[Metric], str | None]:
    document = json.loads(body)
    try:
        following = (document.get("links") or {}).get("next")
        if following is not None and not isinstance(following, str):
            raise TypeError("the link to the next page is no text")
        return [_metric(item) for item in document["data"]], following
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no list of metrics: {error!r}") from error


def _metric(item: Any) -> Metric:
    attributes = item.get("attributes") or {}
    integration = attributes.get("integration")
    owner = integration.get("name") if isinstance(integration, dict) else None
    return Metric(
        id=str(item["id"]),
        name=" ".join(str(attributes.get("name") or "").split()),
        integration=str(owner or ""),
    )
