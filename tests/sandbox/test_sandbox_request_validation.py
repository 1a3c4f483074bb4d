"""Validation of requests: parameters, headers, scopes, paths and methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sandbox_client import HEADERS, NOW, SandboxClient

from sandbox import Account, Request

EMAIL = "equals(messages.channel,'email')"
SUPPRESSION = "subscriptions.email.marketing.suppression"
IN_LIST = "subscriptions.email.marketing.list_suppressions"
SINCE = "2020-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("events", "filter=greater-or-equal(timestamp,0)&sort=-timestamp&page[size]=1000"),
        ("events", "filter=has(profile),has(metric)"),
        ("events", "filter=greater-than(datetime,2026-01-01T00%3A00%3A00%2B00%3A00)"),
        ("events", "include=profile,metric,attributions&fields[profile]=location.city,id"),
        ("events", "fields%5Bevent%5D=event_properties&page%5Bsize%5D=1"),
        ("metrics", "filter=equals(integration.name,'Klaviyo')&include=flow-triggers"),
        ("metrics", "filter=equals(integration.category,%22Internal%22)"),
        ("campaigns", f"filter={EMAIL}&sort=-updated_at&include=tags,campaign-messages"),
        ("campaigns", f"filter=and({EMAIL},any(status,['Sent','Draft']),contains(name,'e'))"),
        ("campaigns", f"filter={EMAIL}&fields[campaign]=send_strategy.method,audiences"),
        ("campaigns", f"filter={EMAIL}&fields[campaign-message]=definition.content.subject"),
        ("lists", "filter=equals(name,['Newsletter 1'])&page[size]=10&sort=name"),
        ("lists", f"filter=greater-than(updated,{SINCE})&include=tags,flow-triggers"),
        ("profiles", "page[size]=100&sort=-updated&include=push-tokens,conversations"),
        ("profiles", "additional-fields[profile]=subscriptions,predictive_analytics"),
        ("profiles", "fields[profile]=subscriptions.email.marketing.consent"),
        ("profiles", f"filter=greater-or-equal({SUPPRESSION}.timestamp,{SINCE})"),
        ("profiles", f"filter=equals({SUPPRESSION}.reason,'HARD_BOUNCE')"),
        (
            "profiles",
            f"filter=equals({IN_LIST}.list_id,'x'),less-than({IN_LIST}.timestamp,{SINCE})",
        ),
        ("profiles", "filter=equals(email,'a%2Bb@example.com')"),
        ("accounts", "fields[account]=contact_information.street_address.city,timezone"),
    ],
)
def test_allowed(client: SandboxClient, path: str, query: str) -> None:
    """Allowed parameters return 200."""
    response = client.get(f"/api/{path}?{query}")
    assert response.status == 200, response.document


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("events", "colour=red", "colour"),
        ("events", "sort=datetime&sort=datetime", "sort"),
        ("events", "sort=uuid", "sort"),
        ("events", "sort=datetime,timestamp", "sort"),
        ("events", "sort=", "sort"),
        ("events", "include=person", "include"),
        ("events", "include=profile,,metric", "include"),
        ("events", "include=", "include"),
        ("events", "fields[event]=name", "fields[event]"),
        ("events", "fields[list]=name", "fields[list]"),
        ("events", "fields[profile]=subscriptions", "fields[profile]"),
        ("events", "fields[profile]=location.planet", "fields[profile]"),
        ("events", "additional-fields[profile]=subscriptions", "additional-fields[profile]"),
        ("events", "page[size]=0", "page[size]"),
        ("events", "page[size]=1001", "page[size]"),
        ("events", "page[size]=ten", "page[size]"),
        ("events", "page[size]=%2B5", "page[size]"),
        ("events", "filter=equals(id,'x')", "filter"),
        ("events", "filter=equals(metric_id,['x'])", "filter"),
        ("events", "filter=equals(metric_id,'unknown')", "filter"),
        ("events", "filter=equals(timestamp,1)", "filter"),
        ("events", "filter=greater-than(timestamp,2026-01-01T00:00:00Z)", "filter"),
        ("events", "filter=greater-than(datetime,1767268800)", "filter"),
        ("events", "filter=greater-than(datetime,2026-01-01T00:00:00+00:00)", "filter"),
        ("events", "filter=has(attributions)", "filter"),
        ("events", "filter=", "filter"),
        ("metrics", "sort=name", "sort"),
        ("metrics", "page[size]=10", "page[size]"),
        ("metrics", "filter=equals(name,'Opened Email')", "filter"),
        ("metrics", "filter=equals(integration,'Klaviyo')", "filter"),
        ("campaigns", "", "filter"),
        ("campaigns", "filter=equals(archived,true)", "filter"),
        ("campaigns", "filter=equals(messages.channel,'pigeon')", "filter"),
        ("campaigns", f"filter={EMAIL},equals(id,'x')", "filter"),
        ("campaigns", f"filter={EMAIL},greater-than(send_time,{SINCE})", "filter"),
        ("campaigns", f"filter={EMAIL}&page[size]=101", "page[size]"),
        ("campaigns", f"filter={EMAIL}&sort=send_time", "sort"),
        ("lists", "page[size]=11", "page[size]"),
        ("lists", f"filter=greater-or-equal(updated,{SINCE})", "filter"),
        ("lists", f"filter=less-than(updated,{SINCE})", "filter"),
        ("lists", "include=profiles", "include"),
        ("profiles", "page[size]=101", "page[size]"),
        ("profiles", "include=lists", "include"),
        ("profiles", f"filter=greater-or-equal(updated,{SINCE})", "filter"),
        ("profiles", "additional-fields[profile]=email", "additional-fields[profile]"),
        ("profiles", f"filter=equals({IN_LIST}.reason,'x')", "filter"),
        (
            "profiles",
            f"filter=equals({IN_LIST}.list_id,'x'),equals({SUPPRESSION}.reason,'x')",
            "filter",
        ),
        (
            "profiles",
            f"filter=greater-than({SUPPRESSION}.timestamp,{SINCE}),"
            f"less-than({SUPPRESSION}.timestamp,{SINCE})",
            "filter",
        ),
        (
            "profiles",
            f"filter=equals({SUPPRESSION}.reason,'x'),greater-than(updated,{SINCE}),"
            f"greater-than(created,{SINCE})",
            "filter",
        ),
        ("accounts", "page[cursor]=x", "page[cursor]"),
        ("accounts", "filter=equals(id,'x')", "filter"),
    ],
)
def test_refused(client: SandboxClient, path: str, query: str, parameter: str) -> None:
    """Disallowed parameters return 400 and the error names the parameter."""
    response = client.get(f"/api/{path}?{query}")
    assert response.status == 400
    assert response.error["code"] == "invalid"
    assert response.error["source"] == {"parameter": parameter}


@pytest.mark.parametrize("field", ["timestamp", "datetime"])
@pytest.mark.parametrize(("later", "status"), [(-1, 200), (0, 200), (1, 400)])
def test_bounds_in_the_future(client: SandboxClient, field: str, later: int, status: int) -> None:
    """A lower bound in the future returns 400; an upper bound is accepted."""
    moment = int(NOW.timestamp()) + later
    value = str(moment) if field == "timestamp" else f"2026-11-20T12:00:0{later}Z"
    value = "2026-11-20T11:59:59Z" if (field, later) == ("datetime", -1) else value
    assert client.get("/api/events", filter=f"greater-or-equal({field},{value})").status == status
    assert client.get("/api/events", filter=f"less-than({field},{value})").status == 200


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"Authorization": None}, 401, "not_authenticated"),
        ({"Authorization": "Klaviyo-API-Key"}, 401, "not_authenticated"),
        ({"Authorization": "Token pk_sandbox"}, 401, "not_authenticated"),
        ({"Authorization": "Bearer pk_sandbox"}, 401, "authentication_failed"),
        ({"Authorization": "Klaviyo-API-Key pk_other"}, 401, "authentication_failed"),
        ({"revision": None}, 400, "invalid"),
        ({"revision": "yesterday"}, 400, "invalid"),
        ({"revision": "2026-07-15.pre"}, 400, "invalid"),
        ({"revision": "2026-10-15.pre"}, 400, "invalid"),
        ({"revision": "2027-01-15"}, 400, "invalid"),
        ({"revision": "2024-10-15", "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1"}, 410, "gone"),
    ],
)
def test_headers(
    client: SandboxClient, changes: dict[str, str | None], status: int, code: str
) -> None:
    """Credentials and a supported revision are required."""
    headers = {name: value for name, value in {**HEADERS, **changes}.items() if value}
    response = client.get("/api/lists", headers)
    assert (response.status, response.error["code"]) == (status, code)


@pytest.mark.parametrize(
    "revision", ["2025-01-15", "2026-04-15", "2026-07-15", "2026-10-15", "2024-10-15"]
)
def test_revisions(client: SandboxClient, revision: str) -> None:
    """Stable and deprecated revisions are accepted, and retired ones by default."""
    headers = {"AUTHORIZATION": HEADERS["Authorization"], "Revision": revision}
    assert client.get("/api/lists", headers).status == 200


@pytest.mark.parametrize(
    ("url", "missing"),
    [
        ("/api/accounts", "accounts:read"),
        ("/api/campaigns?filter=x", "campaigns:read"),
        (f"/api/campaigns?filter={EMAIL}&include=tags", "tags:read"),
        ("/api/events", "events:read"),
        ("/api/events?include=profile", "profiles:read"),
        ("/api/events?include=profile,metric", "metrics:read"),
        ("/api/lists", "lists:read"),
        ("/api/lists?include=tags", "tags:read"),
        ("/api/lists?include=flow-triggers", "flows:read"),
        ("/api/metrics", "metrics:read"),
        ("/api/profiles", "profiles:read"),
        ("/api/profiles?include=push-tokens", "push-tokens:read"),
    ],
)
def test_scopes(
    account: Account, make_client: Callable[..., SandboxClient], url: str, missing: str
) -> None:
    """The scopes of the type and of all included types are required; the error names them."""
    every = {
        f"{name}:read"
        for name in (
            "accounts", "campaigns", "events", "flows", "lists", "metrics", "profiles",
            "push-tokens", "tags",
        )
    }  # fmt: skip
    response = make_client(account, scopes=every - {missing}).get(url)
    assert (response.status, response.error["code"]) == (403, "permission_denied")
    assert missing in response.error["detail"]
    if "filter=x" not in url:
        assert make_client(account, scopes=every).get(url).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/letters", "/api/events/x", "/api/Events", "/api/lists/x/y/z"]
)
def test_unknown_paths(client: SandboxClient, path: str) -> None:
    """Unknown paths return 404."""
    response = client.get(path)
    assert (response.status, response.error["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_methods(client: SandboxClient, method: str) -> None:
    """Collections accept only GET."""
    response = client.api.handle(Request(method, "/api/lists", "", HEADERS))
    assert (response.status, response.headers["Allow"]) == (405, "GET")


def test_error_document(client: SandboxClient) -> None:
    """An error has all members of Klaviyo's error object."""
    error: dict[str, Any] = client.get("/api/lists", include="foo").error
    assert error.pop("id")
    assert error == {
        "status": 400,
        "code": "invalid",
        "title": "Invalid input.",
        "detail": "'foo' is not an allowed include parameter.",
        "source": {"parameter": "include"},
        "links": {},
        "meta": {},
    }
