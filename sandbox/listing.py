"""Pages of records, and single ones: what a GET is answered with."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sandbox.account import Account
from sandbox.answers import Answer, Place, Refusal
from sandbox.documents import Shape, Writer
from sandbox.events import Event
from sandbox.paging import Cursor, Key, Selection
from sandbox.query import Query
from sandbox.resources import Resource
from sandbox.rules import Endpoint

_SELECTIONS_KEPT = 256


class Listing:
    """Answers queries about an account; all links begin with `url`."""

    def __init__(self, account: Account, url: str) -> None:
        self._account, self._url = account, url
        self._writer = Writer(url)
        self._selections: dict[object, Selection[Any]] = {}
        self._selected_of = account.version

    def answer(self, path: str, id: str | None, endpoint: Endpoint, query: Query) -> Answer:
        """One page of a collection, or one record; `id` is that in the path.

        The account must not change meanwhile. Raises Refusal (404) if the id is of nothing.
        """
        selection = self._selection(path, id, endpoint, query)
        page = selection.page(query.cursor, selection.hi if query.size is None else query.size)
        shape = Shape(
            query.fields.get(endpoint.kind),
            query.additional | endpoint.always,
            frozenset(query.include),
        )
        rows: Sequence[Any] = page.rows
        if endpoint.kind == "event":
            rows = [self._account.log.event(row) for row in page.rows]
            data = self._writer.events(rows, shape)
        else:
            data = self._writer.resources(rows, shape)
        included = self._included(query, rows) if query.include else None

        def url(query_string: str) -> str:
            return f"{self._url}{path}/" + (f"?{query_string}" if query_string else "")

        if endpoint.single:
            one = next(iter(data), None)
            body = self._writer.single(one, included, {"self": url(query.own)})
            return Answer(200, body, records=len(data))

        def neighbour(direction: str, key: Key | None) -> str | None:
            return None if key is None else url(query.at(Cursor(direction, key, query.fingerprint)))

        links = {
            "self": url(query.own),
            "prev": neighbour("prev", page.prev),
            "next": neighbour("next", page.next),
        }
        here = query.cursor or Cursor("next", None, query.fingerprint)
        again = url(query.at(replace(here, salt=here.salt + 1)))
        place = Place(url(query.own), url(query.first), again, query.fingerprint)
        body = self._writer.document(data, included, links)
        return Answer(200, body, records=len(data), place=place)

    def _included(self, query: Query, rows: Sequence[Event | Resource]) -> list[bytes]:
        """The related resources of a page that still exist, each once."""
        living: dict[str, dict[Resource, None]] = {}
        for name in query.include:
            for row in rows:
                for other in row.related(name):
                    if not other.deleted:
                        living.setdefault(other.kind, {})[other] = None
        return [
            written
            for kind, found in living.items()
            for written in self._writer.resources([*found], Shape(query.fields.get(kind)))
        ]

    def _selection(
        self, path: str, id: str | None, endpoint: Endpoint, query: Query
    ) -> Selection[Any]:
        """Filtering and sorting are done once for all pages, until the account changes."""
        if self._selected_of != self._account.version or len(self._selections) > _SELECTIONS_KEPT:
            self._selections.clear()
            self._selected_of = self._account.version
        wanted = (path, query.conditions, query.sort)
        if wanted not in self._selections:
            try:
                source = self._account.source(endpoint, id)
            except KeyError as error:
                kind = endpoint.parent or endpoint.kind
                detail = f"A {kind} with the id '{id}' does not exist."
                raise Refusal(404, "not_found", "Not found.", detail) from error
            selected = source.select(endpoint, query.conditions, query.sort)
            self._selections[wanted] = selected
        return self._selections[wanted]
