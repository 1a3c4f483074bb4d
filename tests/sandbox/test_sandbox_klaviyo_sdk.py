"""Klaviyo's SDK reads the main endpoints, and its models match the sandbox's types."""

from __future__ import annotations

import pytest
from klaviyo_api import KlaviyoAPI
from klaviyo_api.filter_builder import FilterBuilder
from klaviyo_sdk import MODELS, all_pages, fields, ids, may_be, models, parsed

from sandbox import Account
from sandbox.resource_types import RESOURCE_TYPES


def test_events(sdk: KlaviyoAPI, account: Account, metric_id: str) -> None:
    """Events of a metric and window with all includes."""
    text = FilterBuilder()
    text.equals("metric_id", metric_id)
    text.greater_or_equal("timestamp", 0)
    pages = all_pages(
        sdk.Events.get_events,
        filter=text.build(),
        include=["profile", "metric", "attributions"],
        sort="timestamp",
        page_size=300,
    )
    assert len(pages) > 2
    assert ids(pages) == account.event_ids_of(metric_id)
    assert {type(one).__name__ for one in parsed(pages)} == {
        "ProfileResponsePluralConversationsObjectResourceExtended",
        "MetricResponseObjectResource",
    }


def test_all_events(sdk: KlaviyoAPI, account: Account) -> None:
    """All events, incomplete ones too."""
    pages = all_pages(sdk.Events.get_events, sort="datetime", page_size=1000)
    assert ids(pages) == account.event_ids_of(None)


def test_sparse_events(sdk: KlaviyoAPI, account: Account) -> None:
    """Sparse fieldsets, which the SDK returns as dicts."""
    pages = all_pages(
        sdk.Events.get_events,
        fields_event=["timestamp"],
        fields_profile=["location.city", "email"],
        include=["profile"],
        page_size=1000,
    )
    assert sum(len(page["data"]) for page in pages) == len(account.log)
    assert {tuple(event["attributes"]) for page in pages for event in page["data"]} == {
        ("timestamp",)
    }


def test_metrics(sdk: KlaviyoAPI, account: Account) -> None:
    """All metrics with the flows they trigger."""
    pages = all_pages(sdk.Metrics.get_metrics, include=["flow-triggers"])
    assert sorted(ids(pages)) == sorted(account.ids("metric"))
    assert parsed(pages)
    text = FilterBuilder()
    text.equals("integration.name", "Shopify")
    names = {one.attributes.name for one in sdk.Metrics.get_metrics(filter=text.build()).data}
    assert names == {"Placed Order", "Ordered Product", "Opened Email", "Received SMS"}


@pytest.mark.parametrize("archived", [True, False])
@pytest.mark.parametrize("channel", ["email", "sms", "mobile_push"])
def test_campaigns(sdk: KlaviyoAPI, account: Account, channel: str, archived: bool) -> None:
    """All campaigns with their messages and tags."""
    text = FilterBuilder()
    text.equals("messages.channel", channel)
    text.equals("archived", archived)
    pages = all_pages(
        sdk.Campaigns.get_campaigns,
        text.build(),
        include=["campaign-messages", "tags"],
        sort="-created_at",
        page_size=50,
    )
    assert sorted(ids(pages)) == sorted(account.campaign_ids([channel], archived))
    assert "CampaignMessageResponseObjectResource" in {type(one).__name__ for one in parsed(pages)}


def test_lists(sdk: KlaviyoAPI, account: Account) -> None:
    """All lists with their tags."""
    pages = all_pages(sdk.Lists.get_lists, include=["tags", "flow-triggers"], page_size=10)
    assert sorted(ids(pages)) == sorted(account.list_ids())
    assert {type(one).__name__ for one in parsed(pages)} == {
        "TagResponseObjectResource",
        "FlowV2ResponseObjectResourceExtended",
    }


def test_profiles(sdk: KlaviyoAPI, account: Account) -> None:
    """All profiles with all additional fields and includes."""
    pages = all_pages(
        sdk.Profiles.get_profiles,
        additional_fields_profile=["subscriptions", "predictive_analytics"],
        include=["push-tokens", "conversations"],
        sort="-updated",
        page_size=100,
    )
    assert sorted(ids(pages)) == sorted(account.ids("profile"))
    assert all(
        one.attributes.subscriptions.email.marketing.consent for page in pages for one in page.data
    )
    assert len({type(one) for one in parsed(pages)}) == 2


def test_suppressed_profiles(sdk: KlaviyoAPI, account: Account) -> None:
    """Profiles suppressed for one reason."""
    text = FilterBuilder()
    text.equals("subscriptions.email.marketing.suppression.reason", "SPAM_COMPLAINT")
    pages = all_pages(sdk.Profiles.get_profiles, filter=text.build(), page_size=100)
    truth = account.suppressed_profiles().items()
    assert sorted(ids(pages)) == sorted(id for id, why in truth if "SPAM_COMPLAINT" in why)


def test_accounts(sdk: KlaviyoAPI) -> None:
    """The account record."""
    (record,) = sdk.Accounts.get_accounts().data
    assert record.attributes.timezone == "Europe/Amsterdam"


@pytest.mark.parametrize(
    "resource_type", [resource_type for resource_type, model in MODELS.items() if model]
)
def test_attributes(resource_type: str) -> None:
    """The sandbox has all attributes of the SDK's models.

    It has more only inside attributes that the SDK leaves as dicts.
    """
    theirs = {
        name: annotation
        for model in models(resource_type)
        for name, annotation in fields(model.model_fields["attributes"].annotation)
    }
    known = RESOURCE_TYPES[resource_type].attributes.union(
        *RESOURCE_TYPES[resource_type].additional.values()
    )
    plain = tuple(f"{name}." for name, annotation in theirs.items() if may_be(dict, annotation))
    assert theirs.keys() <= known
    assert all(name.startswith(plain) for name in known - theirs.keys())


def test_every_type() -> None:
    """The SDK's models cover all resource types."""
    assert MODELS.keys() == RESOURCE_TYPES.keys()
