"""The API without a socket: a request goes in, an answer comes out.

Nothing here knows of the network or waits for anything, so it can be mounted inside a test's own
transport, be called from several threads, and run on a clock of its own.
"""

import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import replace
from urllib.parse import unquote

from sandbox import reports
from sandbox.account import Account
from sandbox.endpoints import ENDPOINTS
from sandbox.endpoints.model import Endpoint, Tier
from sandbox.errors import Refusal
from sandbox.faults import Faults
from sandbox.get_requests import Listing
from sandbox.http_messages import MEDIA_TYPE, Answer, Request
from sandbox.query_string import pairs_of, read
from sandbox.rate_limits import Limits
from sandbox.reports import POSTS
from sandbox.resource_types import KINDS
from sandbox.revisions import RETIRED, REVISION, REVISIONS

try:
    from isal import isal_zlib as zlib
except ImportError:  # Not on every platform; it only takes less time.
    import zlib  # type: ignore[no-redef]

KEY = "pk_sandbox"
_PLACE_OF_ID = 3
_SCHEME = "Klaviyo-API-Key"
_OPT_OUT = "X-Klaviyo-Revision-Fall-Forward-Opt-Out"
_GZIP = 16 + zlib.MAX_WBITS


class Api:
    """Answers requests about an account.

    `url` is what all links begin with; `scopes` those of the key (None: all); `limits` the share
    of Klaviyo's rate limits that applies (None: no limits); `clock` gives Unix seconds. `listing`
    is one of the same account and url that has answered before, and so has much written already.
    """

    def __init__(
        self,
        account: Account,
        url: str,
        *,
        key: str = KEY,
        scopes: Collection[str] | None = None,
        limits: float | None = None,
        clock: Callable[[], float] = time.time,
        faults: Faults | None = None,
        listing: Listing | None = None,
    ) -> None:
        self.account = account
        self.url = url.rstrip("/")
        self.key = key
        self.faults = faults or Faults()
        self._scopes = scopes
        self._clock = clock
        self._limits = None if limits is None else Limits(limits, clock)
        self._listing = listing or Listing(account, self.url)

    def answer(self, request: Request) -> Answer:
        """Answer one request, as an account without faults would, and then spoil the answer."""
        try:
            answer = self._answer(request)
        except Refusal as refusal:
            answer = Answer(refusal.status, refusal.document(), refusal.headers)
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Vary": "Accept-Encoding",
            "X-Request-Id": str(uuid.uuid4()),
            **answer.headers,
        }
        return _compressed(request, self.faults.strike(request, replace(answer, headers=headers)))

    def _answer(self, request: Request) -> Answer:
        path = request.path.rstrip("/")
        template, id = _template(path)
        endpoint, post = ENDPOINTS.get(template), POSTS.get(path)
        if endpoint is None and post is None:
            raise Refusal(404, "not_found", "Not found.", f"The path {request.path} was not found.")
        allowed = "GET" if endpoint else "POST"
        if request.method != allowed:
            detail = f'Method "{request.method}" not allowed.'
            headers = {"Allow": allowed}
            raise Refusal(405, "method_not_allowed", "Method not allowed.", detail, headers=headers)
        self._authenticate(request)
        _check_revision(request)
        buckets = _buckets(template, endpoint, request) if endpoint else [(path, POSTS[path].tier)]
        headers = self._limits.take(buckets) if self._limits else {}
        try:
            if endpoint:
                answer = self._get(path, id, endpoint, request)
            else:
                answer = self._post(path, request)
            return replace(answer, headers=headers)
        except Refusal as refusal:
            refusal.headers.update(headers)
            raise

    def _get(self, path: str, id: str | None, endpoint: Endpoint, request: Request) -> Answer:
        self._permit(KINDS[endpoint.kind].scope, *endpoint.scopes)
        query = read(endpoint, request.query, path=path, now=self._clock())
        for kind, relations in endpoint.kinds().items():
            if relations.intersection(query.include):
                self._permit(KINDS[kind].scope)
        with self.account.lock:
            return self._listing.answer(path, id, endpoint, query)

    def _post(self, path: str, request: Request) -> Answer:
        self._permit(POSTS[path].scope)
        with self.account.lock:
            return reports.answer(self.account, self.url, path, request, self._clock())

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = (request.header("Authorization") or "").partition(" ")
        if scheme != _SCHEME or not key:
            detail = f"Missing or malformed credentials: expected 'Authorization: {_SCHEME} …'."
            raise Refusal(
                401, "not_authenticated", "Authentication credentials were not provided.", detail
            )
        if key != self.key:
            detail = "The API key specified is invalid."
            raise Refusal(
                401, "authentication_failed", "Incorrect authentication credentials.", detail
            )

    def _permit(self, *scopes: str) -> None:
        for scope in scopes:
            if self._scopes is not None and scope not in self._scopes:
                title = "You do not have permission to perform this action."
                detail = f"The API key is missing the required scope '{scope}'."
                raise Refusal(403, "permission_denied", title, detail)


def _template(path: str) -> tuple[str, str | None]:
    """A path with `{id}` in the place of an id, and the id."""
    parts = path.split("/")
    if len(parts) <= _PLACE_OF_ID:
        return path, None
    id, parts[_PLACE_OF_ID] = unquote(parts[_PLACE_OF_ID]), "{id}"
    return "/".join(parts), id


def _check_revision(request: Request) -> None:
    revision = request.header("revision")
    if revision in REVISIONS:
        return
    if revision not in RETIRED:
        detail = f"Missing or unknown revision: send a 'revision' header such as {REVISION}."
        raise Refusal(400, "invalid", "Invalid input.", detail)
    # By default a retired revision is answered in the way of a later one.
    if request.header(_OPT_OUT) == "1":
        raise Refusal(410, "gone", "Gone.", f"The revision {revision} has been retired.")


def _buckets(path: str, endpoint: Endpoint, request: Request) -> list[tuple[str, Tier]]:
    """The endpoint's own bucket, and those of the expensive attributes that are asked for."""
    asked = dict(pairs_of(request.query)).get(f"additional-fields[{endpoint.kind}]", "").split(",")
    slower = [(f"{path}+{name}", tier) for name, tier in endpoint.slower.items() if name in asked]
    return [(path, endpoint.tier), *slower]


def _compressed(request: Request, answer: Answer) -> Answer:
    accepted = (request.header("Accept-Encoding") or "").replace(" ", "").lower().split(",")
    if "gzip" not in accepted or not answer.body:
        return answer
    squeeze = zlib.compressobj(1, wbits=_GZIP)
    body = squeeze.compress(answer.body) + squeeze.flush()
    return replace(answer, body=body, headers={**answer.headers, "Content-Encoding": "gzip"})
