"""POST endpoints that query reports and metric aggregates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from sandbox.account_data import AccountData
from sandbox.documents import dumps
from sandbox.endpoints.model import REPORTING, RateTier, S
from sandbox.errors import invalid_parameter
from sandbox.http_messages import Request, Response
from sandbox.pagination import Cursor, Selection, SortKey
from sandbox.query_string import parse_pairs
from sandbox.reports.compute import compute_report
from sandbox.reports.definitions import REPORTS
from sandbox.reports.metric_aggregates import aggregate_metric
from sandbox.reports.results import ReportResult


@dataclass(frozen=True)
class PostEndpoint:
    """A POST endpoint: the `type` of its body, required scope, rate limits and computation.

    `parameters` are the allowed query parameters besides the sparse fieldset. `has_id` tells
    whether the returned resource has an id.
    """

    type: str
    scope: str
    tier: RateTier
    compute: Callable[[AccountData, Request, float], ReportResult]
    parameters: frozenset[str] = frozenset()
    has_id: bool = False


POST_ENDPOINTS: Mapping[str, PostEndpoint] = {
    "/api/metric-aggregates": PostEndpoint(
        "metric-aggregate", "metrics:read", S, aggregate_metric, has_id=True
    ),
    **{
        path: PostEndpoint(
            definition.type,
            definition.scope,
            REPORTING,
            partial(compute_report, definition),
            frozenset({"page_cursor"}) if definition.paginated else frozenset(),
        )
        for path, definition in REPORTS.items()
    },
}


def handle(account: AccountData, url: str, path: str, request: Request, now: float) -> Response:
    """Return one page of a report; `now` is in Unix seconds, `url` the base URL of links.

    The caller holds the account's lock. Raises ApiError (400, 415) for an invalid request.
    """
    endpoint = POST_ENDPOINTS[path]
    parameters = dict(parse_pairs(request.query))
    fieldset = f"fields[{endpoint.type}]"
    for name in parameters:
        if name not in endpoint.parameters | {fieldset}:
            raise invalid_parameter(name, f"'{name}' is not an allowed query parameter.")
    result = endpoint.compute(account, request, now)
    cursor = Cursor.decode(result.cursor, result.fingerprint) if result.cursor else None
    rows = Selection(result.rows, lambda row: row.key, 0, len(result.rows), result.descending)
    page = rows.page(cursor, result.page_size)

    def link(direction: str, key: SortKey | None) -> str | None:
        if key is None:
            return None
        text = Cursor(direction, key, result.fingerprint).encode()
        return f"{url}{path}/?page_cursor={quote(text, safe='')}"

    links = {
        "self": f"{url}{path}/",
        "next": link("next", page.next),
        "prev": link("prev", page.prev),
    }
    contents = [row.content for row in page.rows]
    attributes = {result.rows_attribute: contents, **result.other_attributes}
    fields = parameters[fieldset].split(",") if fieldset in parameters else [*attributes]
    if unknown := set(fields) - attributes.keys() - {"id"}:
        raise invalid_parameter(fieldset, f"'{min(unknown)}' is not an allowed fields parameter.")
    data: dict[str, Any] = {
        "type": endpoint.type,
        "attributes": {name: value for name, value in attributes.items() if name in fields},
    }
    if endpoint.has_id:
        data |= {"id": str(result.fingerprint), "links": {"self": links["self"]}}
    if result.relationships:
        data["relationships"] = {
            name: {"data": _identifiers(contents, resource_type, grouping)}
            for name, (resource_type, grouping) in result.relationships.items()
        }
    return Response(200, dumps({"data": data, "links": links}), records=len(contents))


def _identifiers(
    contents: Sequence[Mapping[str, Any]], resource_type: str, grouping: str
) -> list[dict[str, str]]:
    ids = dict.fromkeys(content["groupings"][grouping] for content in contents)
    return [{"type": resource_type, "id": id} for id in ids]
