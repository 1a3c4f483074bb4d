"""What the account is and has: its ID, its time zone, its metrics, and that mapped to revenue."""

from __future__ import annotations

import json
import threading
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.pagination import NextLinks, next_link
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.logs import quoted
from tap_klaviyo.streams import STREAMS
from tap_klaviyo.streams.model import Stream

Value = TypeVar("Value")

METRICS_QUERY = Query(
    path="/api/metrics",
    parameters={"fields[metric]": "name,integration"},
    scopes=("metrics:read",),
    tier="M",
)
_ACCOUNTS_QUERY = Query(
    path="/api/accounts",
    parameters={"fields[account]": "timezone"},
    scopes=("accounts:read",),
    tier="XS",
)
_MAPPED_METRICS_QUERY = Query(
    path="/api/mapped-metrics",
    parameters={"include": "metric", "fields[metric]": "name"},
    scopes=("metrics:read",),
    tier="S",
)
_REVENUE = "revenue"


def scopes_of(stream: Stream, query: Query) -> tuple[str, ...]:
    """The scopes that a stream needs: those of its requests, and of what is looked up for it."""
    looked_up = METRICS_QUERY.scopes if stream.metrics else ()
    return tuple(dict.fromkeys((*query.scopes, *looked_up)))


@dataclass(frozen=True)
class Metric:
    """A metric and the name of the integration that it belongs to, empty for none."""

    id: str
    name: str
    integration: str


def normalized(name: str) -> str:
    """A name as it is compared: without regard to case, to the width of blanks, and to the form of
    Unicode, since an integration may write ``é`` as one character or as two.
    """
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


class Metrics:
    """All metrics of an account. IDs differ between accounts, and names are not unique."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._names: dict[str, str] = {}
        self._compared: list[tuple[str, str, str]] = []
        for metric in metrics:
            self._names[metric.id] = metric.name
            compared = normalized(metric.name), normalized(metric.integration)
            self._compared.append((metric.id, *compared))

    def __len__(self) -> int:
        return len(self._names)

    @property
    def all_ids(self) -> list[str]:
        """The IDs of all metrics."""
        return [*self._names]

    def ids(self, names: Iterable[str], integration: str) -> list[str]:
        """The IDs of the metrics whose name or ID is one of ``names``.

        Names are compared by :func:`normalized`, IDs exactly. Only metrics of ``integration``
        count, or of any if it is empty. A metric may have been renamed, so it may exist under its
        old and its new name.
        """
        names = tuple(names)
        wanted, owner = set(map(normalized, names)), normalized(integration)
        matching = (
            metric_id
            for metric_id, name, integration in self._compared
            if (name in wanted or metric_id in names) and owner in ("", integration)
        )
        return list(dict.fromkeys(matching))

    def name(self, metric_id: str) -> str | None:
        """What a metric is called now; None if the account has no metric with this ID."""
        return self._names.get(metric_id)

    def stream_names(self) -> dict[str, str]:
        """The name of the event stream that each metric ID belongs to, where there is one."""
        return {
            metric_id: stream.name
            for stream in STREAMS
            for metric_id in self.ids(stream.metrics, stream.integration)
        }


class Account:
    """What is known of an account. Each value is requested once, when it is first used.

    A value that cannot be read raises the same :class:`StreamError` each time. Threads may share
    it: all that need a value wait for the one that requests it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[object, Any] = {}
        reads = (read_metrics, _read_identities, read_revenue_metric)
        self._reading: dict[object, threading.Lock] = {read: threading.Lock() for read in reads}

    @property
    def metrics(self) -> Metrics:
        """All metrics."""
        return self._value(read_metrics)

    @property
    def id(self) -> str:
        """The ID of the account. Raises :class:`StreamError` if Klaviyo names no account."""
        for identity in self._value(_read_identities):
            return identity.id
        raise StreamError("Klaviyo names no account for these credentials. Report it to Klaviyo.")

    @property
    def time_zone(self) -> ZoneInfo:
        """The time zone whose days Klaviyo's reports count.

        Raises :class:`StreamError` if there is none, or none that Python knows.
        """
        return _time_zone([identity.time_zone for identity in self._value(_read_identities)])

    @property
    def revenue_metric(self) -> str:
        """The ID of the metric that is mapped to revenue; empty for none."""
        return self._value(read_revenue_metric)

    def _value(self, read: Callable[[Client], Value]) -> Value:
        with self._reading[read]:
            if read not in self._known:
                try:
                    self._known[read] = read(self._client)
                except StreamError as error:
                    self._known[read] = error
        if isinstance(self._known[read], StreamError):
            raise self._known[read]
        return cast(Value, self._known[read])


def read_metrics(client: Client) -> Metrics:
    """All metrics of the account, from all pages. Raises what :meth:`Client.request` raises."""
    return Metrics(read_resources(client, METRICS_QUERY, _metric))


class _Identity(NamedTuple):
    """The ID of an account, and its time zone as Klaviyo names it."""

    id: str
    time_zone: Any


def _read_identities(client: Client) -> list[_Identity]:
    """The identity of the account. Raises what :meth:`Client.request` raises."""
    return read_resources(client, _ACCOUNTS_QUERY, _identity)


def _identity(item: Any) -> _Identity:
    if type(item["id"]) not in (str, int) or item["id"] == "":
        raise TypeError("an account has no ID")
    return _Identity(str(item["id"]), (item.get("attributes") or {}).get("timezone"))


def _time_zone(names: Iterable[Any]) -> ZoneInfo:
    """The first time zone that Python knows."""
    names = list(names)
    for name in names:
        # A name of a folder, such as "Europe", is an OSError.
        with suppress(ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            return ZoneInfo(name)
    if unknown := [quoted(str(name)) for name in names if name]:
        raise StreamError(
            f"The account's time zone {unknown[0]} is unknown to Python's zoneinfo; reports need "
            "it. Update the package tzdata with pip, or set another time zone in Klaviyo > "
            "Settings > Organization."
        )
    raise StreamError(
        "The account has no time zone set; reports need one. Set it in Klaviyo > Settings > "
        "Organization."
    )


def read_revenue_metric(client: Client) -> str:
    """The ID of the metric that is mapped to revenue, empty if there is none or it is custom.

    Klaviyo's reports count no conversions of custom metrics. Raises what :meth:`Client.request`
    raises.
    """
    mapped = dict(read_resources(client, _MAPPED_METRICS_QUERY, _mapped_metric))
    return mapped.get(_REVENUE, "")


def read_resources(client: Client, query: Query, parse: Callable[[Any], Value]) -> list[Value]:
    """What ``parse`` makes of each resource of a list, from all pages."""
    found: list[Value] = []
    url: str | None = query.url((), page_size=None)
    next_links = NextLinks()
    while url:
        page, link = client.request(url, query, lambda body: _page(body.decompressed(), parse))
        found += page
        url = next_links.follow(link, query.path, list(map(repr, page))) if link else None
    return found


def _page(body: bytes, parse: Callable[[Any], Value]) -> tuple[list[Value], str | None]:
    try:
        document = json.loads(body)
        if not isinstance(document["data"], list):
            raise TypeError("data is not an array")
        return [parse(item) for item in document["data"]], next_link(document)
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a list of resources: {error!r}") from error


def _metric(item: Any) -> Metric:
    attributes = item.get("attributes") or {}
    integration = attributes.get("integration")
    owner = integration.get("name") if isinstance(integration, dict) else None
    if type(item["id"]) not in (str, int) or item["id"] == "":
        raise TypeError("a metric has no ID")
    return Metric(
        id=str(item["id"]),
        name=" ".join(str(attributes.get("name") or "").split()),
        integration=str(owner or ""),
    )


def _mapped_metric(item: Any) -> tuple[str, str]:
    """What a metric is mapped to, and its ID; empty for none or a custom metric."""
    related = (item.get("relationships") or {}).get("metric") or {}
    return str(item["id"]), str((related.get("data") or {}).get("id") or "")
