"""Klaviyo's own client, of the revision that the sandbox speaks, walks all of it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin
from urllib.parse import parse_qs, urlsplit

import pytest
from klaviyo_api import KlaviyoAPI
from klaviyo_api.filter_builder import FilterBuilder
from pydantic import BaseModel

from sandbox import Account, Sandbox
from sandbox.kinds import KINDS

MODELS = {
    "account": "account_response_object_resource",
    "attribution": None,
    "campaign": "campaign_response_object_resource",
    "campaign-message": "campaign_message_response_object_resource",
    "conversation": "conversation_response_object_resource",
    "event": "event_response_object_resource",
    "flow": "flow_response_object_resource",
    "list": "list_list_response_object_resource",
    "metric": "metric_response_object_resource",
    "profile": "profile_response_plural_conversations_object_resource_extended",
    "push-token": "push_token_response_object_resource",
    "tag": "tag_response_object_resource",
}


@pytest.fixture(scope="module")
def box(account: Account) -> Iterator[Sandbox]:
    """A running sandbox that no test changes."""
    with Sandbox(account) as running:
        yield running


@pytest.fixture(scope="module")
def client(box: Sandbox) -> KlaviyoAPI:
    """Klaviyo's client, bound for the sandbox."""
    return KlaviyoAPI(box.key, max_retries=1, test_host=box.url)


def _model(kind: str) -> Any:
    module = importlib.import_module(f"openapi_client.models.{MODELS[kind]}")
    return next(
        one
        for name, one in vars(module).items()
        if inspect.isclass(one) and name.lower() == (MODELS[kind] or "").replace("_", "")
    )


def _next_cursor(page: Any) -> str | None:
    link = page["links"].get("next") if isinstance(page, dict) else page.links.next
    return parse_qs(urlsplit(link).query)["page[cursor]"][0] if link else None


def _walk(ask: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
    """All pages of a method of the client, along their cursors."""
    pages = [ask(*arguments, **options)]
    while cursor := _next_cursor(pages[-1]):
        pages.append(ask(*arguments, page_cursor=cursor, **options))
    return pages


def _ids(pages: list[Any]) -> list[str]:
    return [record.id for page in pages for record in page.data]


def _parsed(pages: list[Any]) -> list[Any]:
    """The included resources by the model of their type; where one page can hold several types
    the client leaves that to its user."""
    included = [one for page in pages for one in page.included]
    return [
        one if isinstance(one, BaseModel) else _model(one["type"]).from_dict(one)
        for one in included
        if isinstance(one, BaseModel) or MODELS[one["type"]]
    ]


def test_events(client: KlaviyoAPI, account: Account, metric_id: str) -> None:
    """Events of a metric and window, with all that can be included."""
    text = FilterBuilder()
    text.equals("metric_id", metric_id)
    text.greater_or_equal("timestamp", 0)
    pages = _walk(
        client.Events.get_events,
        filter=text.build(),
        include=["profile", "metric", "attributions"],
        sort="timestamp",
        page_size=300,
    )
    assert len(pages) > 2
    assert _ids(pages) == account.event_ids_of(metric_id)
    assert {type(one).__name__ for one in _parsed(pages)} == {
        "ProfileResponsePluralConversationsObjectResourceExtended",
        "MetricResponseObjectResource",
    }


def test_all_events(client: KlaviyoAPI, account: Account) -> None:
    """Every event can be read, also those with gaps."""
    pages = _walk(client.Events.get_events, sort="datetime", page_size=1000)
    assert _ids(pages) == account.event_ids_of(None)


def test_sparse_events(client: KlaviyoAPI, account: Account) -> None:
    """Sparse fieldsets, which the client leaves as objects."""
    pages = _walk(
        client.Events.get_events,
        fields_event=["timestamp"],
        fields_profile=["location.city", "email"],
        include=["profile"],
        page_size=1000,
    )
    assert sum(len(page["data"]) for page in pages) == len(account.log)
    assert {tuple(event["attributes"]) for page in pages for event in page["data"]} == {
        ("timestamp",)
    }


def test_metrics(client: KlaviyoAPI, account: Account) -> None:
    """All metrics with the flows that they trigger."""
    pages = _walk(client.Metrics.get_metrics, include=["flow-triggers"])
    assert sorted(_ids(pages)) == sorted(account.ids("metric"))
    assert _parsed(pages)
    text = FilterBuilder()
    text.equals("integration.name", "Shopify")
    names = {one.attributes.name for one in client.Metrics.get_metrics(filter=text.build()).data}
    assert names == {"Placed Order", "Ordered Product", "Opened Email", "Received SMS"}


@pytest.mark.parametrize("archived", [True, False])
@pytest.mark.parametrize("channel", ["email", "sms", "mobile_push"])
def test_campaigns(client: KlaviyoAPI, account: Account, channel: str, archived: bool) -> None:
    """All campaigns with their messages and tags."""
    text = FilterBuilder()
    text.equals("messages.channel", channel)
    text.equals("archived", archived)
    pages = _walk(
        client.Campaigns.get_campaigns,
        text.build(),
        include=["campaign-messages", "tags"],
        sort="-created_at",
        page_size=50,
    )
    assert sorted(_ids(pages)) == sorted(account.campaign_ids([channel], archived))
    assert "CampaignMessageResponseObjectResource" in {type(one).__name__ for one in _parsed(pages)}


def test_lists(client: KlaviyoAPI, account: Account) -> None:
    """All lists with their tags."""
    pages = _walk(client.Lists.get_lists, include=["tags", "flow-triggers"], page_size=10)
    assert sorted(_ids(pages)) == sorted(account.list_ids())
    assert {type(one).__name__ for one in _parsed(pages)} == {
        "TagResponseObjectResource",
        "FlowResponseObjectResource",
    }


def test_profiles(client: KlaviyoAPI, account: Account) -> None:
    """All profiles with everything about them."""
    pages = _walk(
        client.Profiles.get_profiles,
        additional_fields_profile=["subscriptions", "predictive_analytics"],
        include=["push-tokens", "conversations"],
        sort="-updated",
        page_size=100,
    )
    assert sorted(_ids(pages)) == sorted(account.ids("profile"))
    assert all(
        one.attributes.subscriptions.email.marketing.consent for page in pages for one in page.data
    )
    assert len({type(one) for one in _parsed(pages)}) == 2


def test_suppressed_profiles(client: KlaviyoAPI, account: Account) -> None:
    """The profiles of one reason."""
    text = FilterBuilder()
    text.equals("subscriptions.email.marketing.suppression.reason", "SPAM_COMPLAINT")
    pages = _walk(client.Profiles.get_profiles, filter=text.build(), page_size=100)
    truth = account.suppressed_profiles().items()
    assert sorted(_ids(pages)) == sorted(id for id, why in truth if "SPAM_COMPLAINT" in why)


def test_accounts(client: KlaviyoAPI) -> None:
    """The account itself."""
    (record,) = client.Accounts.get_accounts().data
    assert record.attributes.timezone == "Europe/Amsterdam"


@pytest.mark.parametrize("kind", [kind for kind, model in MODELS.items() if model])
def test_attributes(kind: str) -> None:
    """The sandbox knows every attribute of the client's models.

    It knows more only below those that the client leaves as plain objects.
    """
    fields = dict(_fields(_model(kind).model_fields["attributes"].annotation))
    known = KINDS[kind].attributes.union(*KINDS[kind].additional.values())
    plain = tuple(f"{name}." for name, annotation in fields.items() if _is(dict, annotation))
    assert fields.keys() <= known
    assert all(name.startswith(plain) for name in known - fields.keys())


def test_every_type() -> None:
    """No type of the sandbox is left out here."""
    assert MODELS.keys() == KINDS.keys()


def _fields(annotation: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names of a model's attributes with their annotations; lists are not entered."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            dotted = prefix + (field.alias or name)
            yield dotted, field.annotation
            if not _is(list, field.annotation):
                yield from _fields(field.annotation, f"{dotted}.")
    for part in get_args(annotation):
        yield from _fields(part, prefix)


def _is(origin: type, annotation: Any) -> bool:
    """Whether an annotation is of that generic type, or may be."""
    return any(get_origin(one) is origin for one in (annotation, *get_args(annotation)))
