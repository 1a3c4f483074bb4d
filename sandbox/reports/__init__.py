"""The reports: what a POST is answered with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from sandbox.account import Account
from sandbox.documents import dumps
from sandbox.endpoints.model import REPORTS as SELDOM
from sandbox.endpoints.model import S, Tier
from sandbox.errors import invalid
from sandbox.http_messages import Answer, Request
from sandbox.pagination import Cursor, Key, Selection
from sandbox.query_string import pairs_of
from sandbox.reports.compute import report
from sandbox.reports.definitions import REPORTS
from sandbox.reports.metric_aggregates import aggregate
from sandbox.reports.results import Result


@dataclass(frozen=True)
class Post:
    """An endpoint that is asked by a body of a `type`: the scope it needs, its limits, its rows.

    `parameters` are those of its query besides the sparse fieldset; what is `identified` has an id.
    """

    type: str
    scope: str
    tier: Tier
    compute: Callable[[Account, Request, float], Result]
    parameters: frozenset[str] = frozenset()
    identified: bool = False


POSTS: Mapping[str, Post] = {
    "/api/metric-aggregates": Post(
        "metric-aggregate", "metrics:read", S, aggregate, identified=True
    ),
    **{
        path: Post(
            one.type,
            one.scope,
            SELDOM,
            partial(report, one),
            frozenset({"page_cursor"}) if one.paged else frozenset(),
        )
        for path, one in REPORTS.items()
    },
}


def answer(account: Account, url: str, path: str, request: Request, now: float) -> Answer:
    """One page of a report at a moment in Unix seconds; links begin with `url`.

    The account must not change meanwhile. Raises Refusal (400, 415) for what is not allowed.
    """
    post = POSTS[path]
    query = dict(pairs_of(request.query))
    fieldset = f"fields[{post.type}]"
    for name in query:
        if name not in post.parameters | {fieldset}:
            raise invalid(name, f"'{name}' is not an allowed query parameter.")
    result = post.compute(account, request, now)
    cursor = Cursor.decode(result.cursor, result.asked) if result.cursor else None
    rows = Selection(result.rows, lambda row: row.key, 0, len(result.rows), result.descending)
    page = rows.page(cursor, result.size)

    def link(direction: str, key: Key | None) -> str | None:
        if key is None:
            return None
        text = Cursor(direction, key, result.asked).encode()
        return f"{url}{path}/?page_cursor={quote(text, safe='')}"

    links = {
        "self": f"{url}{path}/",
        "next": link("next", page.next),
        "prev": link("prev", page.prev),
    }
    contents = [row.content for row in page.rows]
    attributes = {result.name: contents, **result.rest}
    shown = query[fieldset].split(",") if fieldset in query else [*attributes]
    if unknown := set(shown) - attributes.keys() - {"id"}:
        raise invalid(fieldset, f"'{min(unknown)}' is not an allowed fields parameter.")
    data: dict[str, Any] = {
        "type": post.type,
        "attributes": {name: told for name, told in attributes.items() if name in shown},
    }
    if post.identified:
        data |= {"id": str(result.asked), "links": {"self": links["self"]}}
    if result.relations:
        data["relationships"] = {
            name: {"data": _pointers(contents, kind, grouping)}
            for name, (kind, grouping) in result.relations.items()
        }
    return Answer(200, dumps({"data": data, "links": links}), records=len(contents))


def _pointers(
    contents: Sequence[Mapping[str, Any]], kind: str, grouping: str
) -> list[dict[str, str]]:
    ids = dict.fromkeys(content["groupings"][grouping] for content in contents)
    return [{"type": kind, "id": id} for id in ids]
