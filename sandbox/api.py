"""The API without a socket: takes a `Request`, returns a `Response`.

It neither uses the network nor sleeps. Tests can mount it in their own transport, call it from
several threads and give it their own clock.
"""

import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import replace
from urllib.parse import unquote

from sandbox import reports
from sandbox.account import Account
from sandbox.endpoints import ENDPOINTS_OF
from sandbox.endpoints.model import Endpoint, RateTier
from sandbox.errors import ApiError
from sandbox.extras import with_extras
from sandbox.faults import Faults
from sandbox.get_requests import GetHandler
from sandbox.http_messages import MEDIA_TYPE, Request, Response
from sandbox.oauth import AUTHORIZE_PATH, TOKEN_PATH, OAuthApp
from sandbox.query_string import parse_pairs, parse_query
from sandbox.rate_limits import RateLimits
from sandbox.reports import POST_ENDPOINTS
from sandbox.revisions import RETIRED, REVISION, REVISIONS

try:
    from isal import isal_zlib as zlib
except ImportError:  # isal is faster, but not available on every platform.
    import zlib  # type: ignore[no-redef]

DEFAULT_API_KEY = "pk_sandbox"
_ID_SEGMENT = 3  # "/api/lists/{id}" splits into "", "api", "lists", "{id}"
_KEY_SCHEME, _TOKEN_SCHEME = "Klaviyo-API-Key", "Bearer"
_OAUTH_METHODS = {AUTHORIZE_PATH: "GET", TOKEN_PATH: "POST"}
_OPT_OUT = "X-Klaviyo-Revision-Fall-Forward-Opt-Out"
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS


class Api:
    """Handles requests for one account.

    `url` is the base URL of all links. `scopes` are the scopes of the API key and of the app
    `oauth` (None: all). `limits` scales Klaviyo's rate limits (1.0: as documented, None: no
    limits). `clock` returns Unix seconds. With `extras` answers have what Klaviyo may add to them
    without a new revision: hints for agents, and unknown attributes. `get_handler` may be a handler
    of the same account and URL whose caches are already filled.
    """

    def __init__(
        self,
        account: Account,
        url: str,
        *,
        key: str = DEFAULT_API_KEY,
        scopes: Collection[str] | None = None,
        limits: float | None = None,
        clock: Callable[[], float] = time.time,
        faults: Faults | None = None,
        get_handler: GetHandler | None = None,
        oauth: OAuthApp | None = None,
        extras: bool = False,
    ) -> None:
        self.account = account
        self.url = url.rstrip("/")
        self.key = key
        self.oauth = oauth or OAuthApp(clock=clock)
        self.faults = faults or Faults()
        self.extras = extras
        self._scopes = scopes
        self._clock = clock
        self._rate_limits = None if limits is None else RateLimits(limits, clock)
        self._get_handler = get_handler or GetHandler(account, self.url)

    def handle(self, request: Request) -> Response:
        """Return the response to a request, with a fault applied if one matches."""
        try:
            response = self._handle(request)
        except ApiError as error:
            response = Response(error.status, error.document(), error.headers)
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Vary": "Accept-Encoding",
            "X-Request-Id": str(uuid.uuid4()),
            **response.headers,
        }
        return _compressed(request, self.faults.apply(request, replace(response, headers=headers)))

    def _handle(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if path in _OAUTH_METHODS:
            _check_method(request, _OAUTH_METHODS[path])
            return self.oauth.handle(replace(request, path=path))
        template, id = _path_template(path)
        revision = REVISIONS.get(request.header("revision") or "", REVISION)
        endpoint, post = ENDPOINTS_OF[revision].get(template), POST_ENDPOINTS.get(path)
        if endpoint is None and post is None:
            detail = f"The path {request.path} was not found."
            raise ApiError(404, "not_found", "Not found.", detail)
        _check_method(request, "GET" if endpoint else "POST")
        self._authenticate(request)
        _check_revision(request)
        if endpoint:
            buckets = _rate_limit_buckets(template, endpoint, request)
        else:
            buckets = [(path, POST_ENDPOINTS[path].tier)]
        headers = self._rate_limits.take(buckets) if self._rate_limits else {}
        try:
            if endpoint:
                response = self._get(path, id, endpoint, request)
            else:
                response = self._post(path, request)
            return replace(response, headers=headers)
        except ApiError as error:
            error.headers.update(headers)
            raise

    def _get(self, path: str, id: str | None, endpoint: Endpoint, request: Request) -> Response:
        types = endpoint.resource_types
        scope = endpoint.scope or types[endpoint.resource_type].scope
        self._require_scopes(scope, *endpoint.scopes)
        now = self._clock()
        query = parse_query(endpoint, request.query, path=path, now=now)
        for resource_type, includes in endpoint.response_types().items():
            if includes.intersection(query.include):
                self._require_scopes(types[resource_type].scope)
        with self.account.lock:
            response = self._get_handler.handle(path, id, endpoint, query, now)
        return with_extras(response, query.fields) if self.extras else response

    def _post(self, path: str, request: Request) -> Response:
        self._require_scopes(POST_ENDPOINTS[path].scope)
        with self.account.lock:
            response = reports.handle(self.account, self.url, path, request, self._clock())
        return with_extras(response) if self.extras else response

    def _authenticate(self, request: Request) -> None:
        scheme, _, secret = (request.header("Authorization") or "").partition(" ")
        if scheme not in (_KEY_SCHEME, _TOKEN_SCHEME) or not secret:
            detail = f"Missing or malformed credentials: expected 'Authorization: {_KEY_SCHEME} …'."
            raise ApiError(
                401, "not_authenticated", "Authentication credentials were not provided.", detail
            )
        if scheme == _TOKEN_SCHEME and not self.oauth.accepts(secret):
            detail = "The access token is invalid or has expired."
            raise ApiError(
                401, "authentication_failed", "Incorrect authentication credentials.", detail
            )
        if scheme == _KEY_SCHEME and secret != self.key:
            detail = "The API key specified is invalid."
            raise ApiError(
                401, "authentication_failed", "Incorrect authentication credentials.", detail
            )

    def _require_scopes(self, *scopes: str) -> None:
        for scope in scopes:
            if self._scopes is not None and scope not in self._scopes:
                title = "You do not have permission to perform this action."
                detail = f"The API key is missing the required scope '{scope}'."
                raise ApiError(403, "permission_denied", title, detail)


def _path_template(path: str) -> tuple[str, str | None]:
    """The path with its id replaced by `{id}`, and the decoded id (None if there is none)."""
    segments = path.split("/")
    if len(segments) <= _ID_SEGMENT:
        return path, None
    id, segments[_ID_SEGMENT] = unquote(segments[_ID_SEGMENT]), "{id}"
    return "/".join(segments), id


def _check_method(request: Request, allowed: str) -> None:
    if request.method != allowed:
        detail = f'Method "{request.method}" not allowed.'
        headers = {"Allow": allowed}
        title = "Method not allowed."
        raise ApiError(405, "method_not_allowed", title, detail, headers=headers)


def _check_revision(request: Request) -> None:
    revision = request.header("revision")
    if revision in REVISIONS:
        return
    if revision not in RETIRED:
        detail = f"Missing or unknown revision: send a 'revision' header such as {REVISION}."
        raise ApiError(400, "invalid", "Invalid input.", detail)
    # Klaviyo answers a retired revision with a later one unless the client opts out.
    if request.header(_OPT_OUT) == "1":
        raise ApiError(410, "gone", "Gone.", f"The revision {revision} has been retired.")


def _rate_limit_buckets(
    path: str, endpoint: Endpoint, request: Request
) -> list[tuple[str, RateTier]]:
    """The endpoint's own bucket, then those of the requested additional fields with own limits."""
    parameters = dict(parse_pairs(request.query))
    requested = parameters.get(f"additional-fields[{endpoint.resource_type}]", "").split(",")
    extra = [
        (f"{path}+{name}", tier)
        for name, tier in endpoint.additional_tiers.items()
        if name in requested
    ]
    return [(path, endpoint.tier), *extra]


def _compressed(request: Request, response: Response) -> Response:
    accepted = (request.header("Accept-Encoding") or "").replace(" ", "").lower().split(",")
    if "gzip" not in accepted or not response.body:
        return response
    compressor = zlib.compressobj(1, wbits=_GZIP_WINDOW_BITS)
    body = compressor.compress(response.body) + compressor.flush()
    return replace(response, body=body, headers={**response.headers, "Content-Encoding": "gzip"})
