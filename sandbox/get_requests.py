"""Pages of records, and single ones: what a GET is answered with."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sandbox.account import Account
from sandbox.documents import Shape, Writer, Written
from sandbox.endpoints.model import Endpoint
from sandbox.errors import Refusal
from sandbox.event_cache import Kept
from sandbox.http_messages import Answer, Place
from sandbox.pagination import Cursor, Key, Selection
from sandbox.query_string import Query
from sandbox.resources import Resource

_SELECTIONS_KEPT = 256


class Listing:
    """Answers queries about an account; all links begin with `url`.

    With `keeping` it writes each event once only, until the account changes. That takes 2 KB for an
    event.
    """

    def __init__(self, account: Account, url: str, *, keeping: bool = False) -> None:
        self._account, self.url = account, url
        self._writer = Writer(url)
        self._keeping = keeping
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
        of_events = endpoint.kind == "event"
        write = self._events if of_events else self._writer.resources
        data: Sequence[Written] = write(page.rows, shape)
        related = self._account.log.related if of_events else _related
        included = self._included(query, page.rows, related) if query.include else None

        def url(query_string: str) -> str:
            return f"{self.url}{path}/" + (f"?{query_string}" if query_string else "")

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

    def _events(self, rows: Sequence[int], shape: Shape) -> Sequence[Written]:
        if not self._keeping:
            return self._written(shape, rows)
        write = partial(self._written, shape)
        kept = self._account.derived((self, shape), lambda: Kept(write, len(self._account.log)))
        return kept.events(rows)

    def _written(self, shape: Shape, rows: Sequence[int]) -> list[bytes]:
        return self._writer.events([*map(self._account.log.event, rows)], shape)

    def _included(
        self,
        query: Query,
        rows: Sequence[Any],
        related: Callable[[Sequence[Any], str], Iterable[Resource]],
    ) -> list[bytes]:
        """The related resources of a page that still exist, each once."""
        living: dict[str, dict[Resource, None]] = {}
        for name in query.include:
            for other in related(rows, name):
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


def _related(rows: Sequence[Resource], relation: str) -> Iterable[Resource]:
    return (other for row in rows for other in row.related(relation))
