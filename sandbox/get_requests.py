"""Responses to GET requests: pages of a collection, and single resources."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sandbox.account import Account
from sandbox.documents import DocumentWriter, Fieldset, JsonFragment
from sandbox.endpoints.model import Endpoint
from sandbox.errors import ApiError
from sandbox.event_cache import EventCache
from sandbox.event_counts import without
from sandbox.http_messages import PageLinks, Response
from sandbox.pagination import Cursor, Selection, SortKey
from sandbox.query_string import Query
from sandbox.resource_types import RESOURCE_TYPES_OF
from sandbox.resources import Resource

_MAX_CACHED_SELECTIONS = 256


class GetHandler:
    """Handles parsed GET requests for an account; `url` is the base URL of all links.

    With `cache_events` each event is serialized only once until the account changes. The cache
    takes about 2 KB per event.
    """

    def __init__(self, account: Account, url: str, *, cache_events: bool = False) -> None:
        self._account, self.url = account, url
        self._writers = {one: DocumentWriter(url, one) for one in RESOURCE_TYPES_OF}
        self._cache_events = cache_events
        self._selections: dict[object, Selection[Any]] = {}
        self._selections_version = account.version

    def handle(
        self, path: str, id: str | None, endpoint: Endpoint, query: Query, now: float
    ) -> Response:
        """Return one page of a collection, or one resource; `id` is the id in the path.

        `now` is in Unix seconds. The caller holds the account's lock. Raises ApiError (404) if no
        resource has that id.
        """
        selection = self._selection(path, id, endpoint, query, now)
        page = selection.page(query.cursor, selection.hi if query.size is None else query.size)
        fieldset = Fieldset(
            query.fields.get(endpoint.resource_type),
            query.additional | endpoint.always,
            frozenset(query.include),
        )
        writer = self._writers[endpoint.revision]
        is_events = endpoint.resource_type == "event"
        data: Sequence[JsonFragment]
        if is_events:
            data = self._events(writer, page.rows, fieldset)
        else:
            data = writer.resources(page.rows, fieldset)
        related = self._account.log.related if is_events else _related
        included = None
        if query.include:
            included = _included(writer, query, page.rows, related)

        def url(query_string: str) -> str:
            return f"{self.url}{path}/" + (f"?{query_string}" if query_string else "")

        if endpoint.single:
            resource = next(iter(data), None)
            body = writer.single(resource, included, {"self": url(query.encoded)})
            return Response(200, body, records=len(data))

        def link(direction: str, key: SortKey | None) -> str | None:
            if key is None:
                return None
            return url(query.with_cursor(Cursor(direction, key, query.fingerprint)))

        links = {
            "self": url(query.encoded),
            "prev": link("prev", page.prev),
            "next": link("next", page.next),
        }
        current = query.cursor or Cursor("next", None, query.fingerprint)
        page_links = PageLinks(
            url=links["self"] or "",
            first=url(query.without_cursor),
            alternate=url(query.with_cursor(replace(current, salt=current.salt + 1))),
            fingerprint=query.fingerprint,
        )
        body = writer.collection(data, included, links)
        return Response(200, body, records=len(data), page_links=page_links)

    def _events(
        self, writer: DocumentWriter, rows: Sequence[int], fieldset: Fieldset
    ) -> Sequence[JsonFragment]:
        if not self._cache_events:
            return self._serialize_events(writer, fieldset, rows)
        serialize = partial(self._serialize_events, writer, fieldset)
        # Revisions that show events in the same way share a cache.
        cache = self._account.cached(
            (self, writer.event_template(fieldset)),
            lambda: EventCache(serialize, len(self._account.log)),
        )
        return cache.events(rows)

    def _serialize_events(
        self, writer: DocumentWriter, fieldset: Fieldset, rows: Sequence[int]
    ) -> list[bytes]:
        return writer.events([*map(self._account.log.event, rows)], fieldset)

    def _selection(
        self, path: str, id: str | None, endpoint: Endpoint, query: Query, now: float
    ) -> Selection[Any]:
        """The filtered and sorted rows of a query, cached until the account changes."""
        version = self._account.version
        if self._selections_version != version or len(self._selections) > _MAX_CACHED_SELECTIONS:
            self._selections.clear()
            self._selections_version = version
        unlisted: frozenset[int] = frozenset()
        if endpoint.resource_type == "event":
            unlisted = self._account.counting.unlisted(self._account.log, now)
        key = (endpoint.revision, path, query.conditions, query.sort, unlisted)
        if key not in self._selections:
            try:
                records = self._account.records(endpoint, id)
            except KeyError as error:
                missing = endpoint.parent or endpoint.resource_type
                detail = f"A {missing} with the id '{id}' does not exist."
                raise ApiError(404, "not_found", "Not found.", detail) from error
            selected = records.select(endpoint, query.conditions, query.sort)
            if unlisted:
                rows = without(selected.rows[selected.lo : selected.hi], unlisted)
                selected = replace(selected, rows=rows, lo=0, hi=len(rows))
            self._selections[key] = selected
        return self._selections[key]


def _included(
    writer: DocumentWriter,
    query: Query,
    rows: Sequence[Any],
    related: Callable[[Sequence[Any], str], Iterable[Resource]],
) -> list[bytes]:
    """The page's related resources without duplicates and without deleted ones."""
    by_type: dict[str, dict[Resource, None]] = {}
    for name in query.include:
        for other in related(rows, name):
            if not other.deleted:
                by_type.setdefault(other.type, {})[other] = None
    return [
        fragment
        for resource_type, resources in by_type.items()
        for fragment in writer.resources([*resources], Fieldset(query.fields.get(resource_type)))
    ]


def _related(rows: Sequence[Resource], relationship: str) -> Iterable[Resource]:
    return (other for row in rows for other in row.related(relationship))
