"""What the account has: its metrics by name, its time zone, the metric that stands for revenue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.pagination import Trail
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.streams import STREAMS

Fact = TypeVar("Fact")


QUERY = Query(
    path="/api/metrics",
    parameters={"fields[metric]": "name,integration"},
    scopes=("metrics:read",),
    tier="M",
)


_ZONE = Query(
    path="/api/accounts",
    parameters={"fields[account]": "timezone"},
    scopes=("accounts:read",),
    tier="XS",
)


_MAPPED = Query(
    path="/api/mapped-metrics",
    parameters={"include": "metric", "fields[metric]": "name"},
    scopes=("metrics:read",),
    tier="S",
)


_REVENUE = "revenue"


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


class Account:
    """What there is to know of an account before it is read. Each fact is asked for once, at most.

    A fact that Klaviyo does not tell raises the same :class:`StreamError` whenever it is wanted.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[object, Any] = {}

    @property
    def metrics(self) -> Metrics:
        """All metrics."""
        return self._fact(read_metrics)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which Klaviyo counts the account's days."""
        return self._fact(read_zone)

    @property
    def revenue(self) -> str:
        """The id of the metric that the account has mapped to revenue; empty if it has none."""
        return self._fact(read_revenue)

    def _fact(self, read: Callable[[Client], Fact]) -> Fact:
        if read not in self._known:
            try:
                self._known[read] = read(self._client)
            except StreamError as error:
                self._known[read] = error
        if isinstance(self._known[read], StreamError):
            raise self._known[read]
        return cast(Fact, self._known[read])


def read_metrics(client: Client) -> Metrics:
    """All metrics of the account, every page. Raises what :meth:`Client.get` does."""
    return Metrics(_read(client, QUERY, _metric))


def read_zone(client: Client) -> ZoneInfo:
    """The account's time zone. Raises what :meth:`Client.get` does, or :class:`StreamError`."""
    for name in _read(client, _ZONE, lambda item: item["attributes"]["timezone"]):
        with suppress(ZoneInfoNotFoundError, ValueError, TypeError):
            return ZoneInfo(name)
    raise StreamError(
        "Klaviyo does not tell the account's time zone, without which there are no days to report "
        "on. Set one in Klaviyo > Settings > Organization."
    )


def read_revenue(client: Client) -> str:
    """The id of the metric mapped to revenue, empty if none is or if it is a custom one.

    Klaviyo's reports count conversions of no custom metric. Raises what :meth:`Client.get` does.
    """
    mapped = dict(_read(client, _MAPPED, _mapped))
    return mapped.get(_REVENUE, "")


def _read(client: Client, query: Query, parse: Callable[[Any], Fact]) -> list[Fact]:
    """What ``parse`` makes of each resource of a list, every page of it."""
    found: list[Fact] = []
    url: str | None = query.url((), page_size=None)
    trail = Trail()
    while url:
        page, following = client.get(url, query, lambda body: _page(body.unpacked(), parse))
        found += page
        url = following and trail.follow(following, query.path, empty=not page)
    return found


def _page(body: bytes, parse: Callable[[Any], Fact]) -> tuple[list[Fact], str | None]:
    document = json.loads(body)
    try:
        following = (document.get("links") or {}).get("next")
        if following is not None and not isinstance(following, str):
            raise TypeError("the link to the next page is no text")
        return [parse(item) for item in document["data"]], following
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no list of resources: {error!r}") from error


def _metric(item: Any) -> Metric:
    attributes = item.get("attributes") or {}
    integration = attributes.get("integration")
    owner = integration.get("name") if isinstance(integration, dict) else None
    return Metric(
        id=str(item["id"]),
        name=" ".join(str(attributes.get("name") or "").split()),
        integration=str(owner or ""),
    )


def _mapped(item: Any) -> tuple[str, str]:
    """What is mapped, and to which metric; empty for none or a custom one."""
    related = (item.get("relationships") or {}).get("metric") or {}
    return str(item["id"]), str((related.get("data") or {}).get("id") or "")
