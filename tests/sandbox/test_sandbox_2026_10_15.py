"""Parameters, scopes and rate limits of the endpoints that revision 2026-10-15 adds or changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sandbox_client import SandboxClient

from sandbox import Account
from sandbox.endpoints import ENDPOINTS, ENDPOINTS_OF
from sandbox.endpoints.model import Endpoint

REVISION = "2026-10-15"
SINCE = "2020-01-01T00:00:00Z"
NEW = {
    path: endpoint
    for path, endpoint in ENDPOINTS_OF[REVISION].items()
    if path not in ENDPOINTS or endpoint.filters.keys() != ENDPOINTS[path].filters.keys()
}
"""The endpoints that are new or have other filters."""


def owner(endpoint: Endpoint) -> str:
    """The type of the resource whose id is in the path."""
    return endpoint.parent or endpoint.resource_type


@pytest.fixture
def url(account: Account) -> Callable[[str], str]:
    """Makes a URL from a path, replacing `{id}` by an id of the account."""

    def filled(path: str) -> str:
        path = f"/api/{path}"
        if "{id}" not in path:
            return path
        endpoint = ENDPOINTS_OF[REVISION][path.partition("?")[0]]
        return path.replace("{id}", account.ids(owner(endpoint), REVISION)[0])

    return filled


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("billing-usage", "filter=any(id,['email_sends'])&fields[billing-usage]=usage_used,unit"),
        ("billing-usage/{id}", "fields[billing-usage]=as_of"),
        ("brand-buttons", "fields[brand-button]=style.border_radius,text.font_size"),
        ("brand-colors", "fields[brand-color]=colors"),
        ("brand-email-defaults", "include=brand-button,brand-logo,brand-social-group"),
        ("brand-email-defaults/{id}", "fields[brand-email-default]=body.h4_text.font_size"),
        ("brand-logos", "include=image&fields[image]=image_url&fields[brand-logo]=alt_text"),
        ("brand-social-groups", "fields[brand-social-group]=social_links"),
        ("brand-voice/{id}", "fields[brand-voice]=tone_descriptors"),
        ("campaign-audiences/{id}", "include=campaign,campaign-messages"),
        ("campaign-audiences/{id}/campaign", "fields[campaign]=definition.color"),
        ("campaign-audiences/{id}/campaign-messages", "fields[campaign-message]=updated"),
        ("campaign-messages", "filter=any(id,['x','y'])&sort=-updated&page[size]=100"),
        ("campaign-messages", "filter=equals(campaign_id,'x'),contains(name,'A')&sort=name"),
        ("campaign-messages", f"filter=equals(status,'sent'),greater-than(updated,{SINCE})"),
        ("campaign-messages", f"filter=less-or-equal(created,{SINCE})&sort=-status"),
        ("campaign-messages", "include=campaign&fields[campaign]=definition.name"),
        ("campaign-messages", "fields[campaign-message]=definition.send_options.send_time"),
        ("campaign-messages/{id}", "include=campaign,campaign-variations"),
        ("campaign-messages/{id}/campaign-audience", "fields[campaign-audience]=created"),
        ("campaign-messages/{id}/campaign-variations",
         "fields[campaign-variation]=definition.details.subject"),
        ("campaign-messages/{id}/tags", "fields[tag]=name"),
        ("campaign-variations/{id}", "include=campaign-message,image,translation"),
        ("campaigns", ""),
        ("campaigns", "filter=equals(archived,true),equals(builder,'canvas')&sort=name"),
        ("campaigns", f"filter=any(id,['x']),greater-or-equal(updated_at,{SINCE})"),
        ("campaigns", f"filter=less-than(created_at,{SINCE}),contains(name,'x')&sort=-updated_at"),
        ("campaigns", "include=campaign-audiences,campaign-messages,tags&page[size]=100"),
        ("campaigns", "fields[campaign]=definition.send_settings.send_timezone,created_at"),
        ("campaigns/{id}", "include=campaign-audiences,campaign-messages,tags"),
        ("campaigns/{id}/campaign-audiences", "fields[campaign-audience]=definition.priority"),
        ("campaigns/{id}/campaign-messages", "include=campaign&fields[campaign-message]=created"),
        ("coupons", "fields[coupon]=assigner_configuration.used"),
        ("profiles", "additional-fields[profile]=subscriptions"
         "&fields[profile]=subscriptions.email.click_tracking.consent"),
        ("templates", "fields[template]=screenshot_url"),
        ("text-messaging-configurations/{id}", "fields[text-messaging-configuration]=status"),
        ("text-messaging-sender-registrations/{id}", "include=text-messaging-sender"),
        ("text-messaging-senders",
         "sort=-created_at&page[size]=20&include=text-messaging-sender-registration"),
        ("text-messaging-senders/{id}/text-messaging-sender-registration",
         "fields[text-messaging-sender-registration]=failures"),
        ("translations", "filter=equals(resource_type,'template'),equals(channel,'email')"),
        ("translations", "filter=equals(related_resource_id,'x')&sort=-id&page[size]=100"),
        ("translations", "include=campaign-variation,flow-message,template"
         "&fields[flow-message]=content.subject,name"),
        ("translations/{id}", "additional-fields[translation]=values&fields[translation]=values"),
        ("translations/{id}/template", "fields[template]=name"),
    ],
)  # fmt: skip
def test_allowed(
    new_client: SandboxClient, url: Callable[[str], str], path: str, query: str
) -> None:
    """Allowed parameters return 200."""
    response = new_client.get(f"{url(path)}?{query}")
    assert response.status == 200, response.document


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("billing-usage", "filter=equals(id,'email_sends')", "filter"),
        ("brand-buttons", "page[size]=10", "page[size]"),
        ("brand-logos", "include=brand-button", "include"),
        ("campaign-audiences/{id}/campaign-messages", "page[size]=10", "page[size]"),
        ("campaign-messages", "filter=any(status,['sent'])", "filter"),
        ("campaign-messages", "filter=equals(name,'A')", "filter"),
        ("campaign-messages", f"filter=equals(created,{SINCE})", "filter"),
        ("campaign-messages", "include=campaign-variations", "include"),
        ("campaign-messages", "page[size]=101", "page[size]"),
        ("campaign-messages", "sort=created_at", "sort"),
        ("campaign-messages/{id}/campaign-variations", "page[cursor]=x", "page[cursor]"),
        ("campaigns", "fields[campaign]=status", "fields[campaign]"),
        ("campaigns", "filter=equals(messages.channel,'email')", "filter"),
        ("campaigns", "filter=equals(status,'Sent')", "filter"),
        ("campaigns", f"filter=greater-than(scheduled_at,{SINCE})", "filter"),
        ("campaigns", "sort=scheduled_at", "sort"),
        ("campaigns/{id}/campaign-messages", "include=template", "include"),
        ("text-messaging-senders", "page[size]=21", "page[size]"),
        ("text-messaging-senders", "sort=id", "sort"),
        ("translations", "filter=equals(channel,'push')", "filter"),
        ("translations", "additional-fields[translation]=values", "additional-fields[translation]"),
        ("translations", "fields[translation]=values", "fields[translation]"),
        ("translations", "fields[flow-message]=definition", "fields[flow-message]"),
        ("translations", "page[size]=101", "page[size]"),
    ],
)
def test_refused(
    new_client: SandboxClient, url: Callable[[str], str], path: str, query: str, parameter: str
) -> None:
    """Disallowed parameters return 400 and the error names the parameter."""
    response = new_client.get(f"{url(path)}?{query}")
    assert response.status == 400, response.document
    assert response.error["source"] == {"parameter": parameter}


LIMITS = [
    ("billing-usage", 10, "usage"),
    ("billing-usage/{id}", 10, "usage"),
    ("brand-buttons", 10, "brands"),
    ("brand-buttons/{id}", 10, "brands"),
    ("brand-colors", 10, "brands"),
    ("brand-colors/{id}", 10, "brands"),
    ("brand-email-defaults", 10, "brands"),
    ("brand-email-defaults/{id}", 10, "brands"),
    ("brand-logos", 10, "brands"),
    ("brand-logos?include=image", 10, "brands images"),
    ("brand-logos/{id}", 10, "brands"),
    ("brand-social-groups", 10, "brands"),
    ("brand-social-groups/{id}", 10, "brands"),
    ("brand-voice/{id}", 10, "brands"),
    ("campaign-audiences/{id}", 10, "campaigns"),
    ("campaign-audiences/{id}/campaign", 10, "campaigns"),
    ("campaign-audiences/{id}/campaign-messages", 10, "campaigns"),
    ("campaign-messages", 10, "campaigns"),
    ("campaign-messages/{id}", 10, "campaigns"),
    ("campaign-messages/{id}/campaign-audience", 10, "campaigns"),
    ("campaign-messages/{id}/campaign-variations", 10, "campaigns"),
    ("campaign-messages/{id}/tags", 3, "campaigns tags"),
    ("campaign-variations/{id}", 10, "campaigns"),
    ("campaign-variations/{id}?include=translation", 10, "campaigns translations"),
    ("campaign-variations/{id}/campaign-message", 10, "campaigns"),
    ("campaign-variations/{id}/image", 10, "campaigns"),
    ("campaign-variations/{id}/translation", 10, "campaigns"),
    ("campaigns", 10, "campaigns"),
    ("campaigns?include=tags", 10, "campaigns tags"),
    ("campaigns/{id}/campaign-audiences", 10, "campaigns"),
    ("text-messaging-configurations/{id}", 3, "sender-config"),
    ("text-messaging-sender-registrations/{id}", 3, "sender-config"),
    ("text-messaging-senders", 3, "sender-config"),
    ("text-messaging-senders/{id}", 3, "sender-config"),
    ("text-messaging-senders/{id}/text-messaging-sender-registration", 3, "sender-config"),
    ("translations", 10, "translations"),
    ("translations/{id}", 10, "translations"),
    ("translations/{id}/campaign-variation", 10, "campaigns translations"),
    ("translations/{id}/flow-message", 10, "flows translations"),
    ("translations/{id}/template", 10, "templates translations"),
    ("translations/{id}/template-universal-content", 10, "templates translations"),
]
"""The paths with requests per second and required scopes."""


@pytest.mark.parametrize(("path", "burst", "scopes"), LIMITS)
def test_limits_and_scopes(
    account: Account,
    make_client: Callable[..., SandboxClient],
    url: Callable[[str], str],
    path: str,
    burst: int,
    scopes: str,
) -> None:
    """Each endpoint enforces its burst limit and requires all its scopes, but no others."""
    needed = {f"{name}:read" for name in scopes.split()}
    client = make_client(account, REVISION, scopes=needed, limits=1.0)
    statuses = [client.get(url(path)).status for _ in range(burst + 1)]
    assert statuses == [200] * burst + [429]
    for missing in needed:
        refused = make_client(account, REVISION, scopes=needed - {missing}).get(url(path))
        assert refused.status == 403
        assert missing in refused.error["detail"]


def test_limits_of_every_endpoint() -> None:
    """The table above has every new endpoint."""
    assert {f"/api/{path.partition('?')[0]}" for path, _, _ in LIMITS} == NEW.keys()


@pytest.mark.parametrize("path", [path for path in NEW if "{id}" in path])
def test_unknown_ids(new_client: SandboxClient, path: str) -> None:
    """Unknown ids return 404."""
    response = new_client.get(path.replace("{id}", "nothing"))
    assert (response.status, response.error["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", [path for path in NEW if path not in ENDPOINTS])
def test_unknown_to_the_older_revision(account: Account, client: SandboxClient, path: str) -> None:
    """Under revision 2026-07-15 a new path is unknown, even with the id of a resource."""
    path = path.replace("{id}", account.ids(owner(NEW[path]), REVISION)[0])
    response, unknown = client.get(path), client.get("/api/nothing")
    assert response.status == 404
    assert response.error["detail"] == unknown.error["detail"].replace("/api/nothing", path)
