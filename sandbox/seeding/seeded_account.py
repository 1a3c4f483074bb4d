"""Generates a complete account."""

import random
from collections.abc import Collection as Container
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from sandbox.events import EventLog
from sandbox.memberships import Memberships
from sandbox.omnichannel import added_collections
from sandbox.resources import Collection, Resource
from sandbox.seeding.account import (
    make_account,
    make_billing_usage,
    make_tracking_setting,
    make_webhooks,
)
from sandbox.seeding.brands import make_brands
from sandbox.seeding.campaigns import (
    link_templates_and_images,
    make_campaigns,
    make_recipient_estimations,
)
from sandbox.seeding.commerce import make_catalog, make_coupons, make_reviews
from sandbox.seeding.content import (
    make_forms,
    make_images,
    make_templates,
    make_universal_contents,
    make_web_feeds,
)
from sandbox.seeding.custom_objects import make_data_sources, make_object_types
from sandbox.seeding.events import EventGenerator
from sandbox.seeding.flows import add_flow_actions, make_flows, make_further_flows
from sandbox.seeding.form_visits import add_form_visits
from sandbox.seeding.lists_segments import add_members, make_lists, make_segments
from sandbox.seeding.metrics import (
    Naming,
    make_custom_metrics,
    make_mapped_metrics,
    make_metric_properties,
    make_metrics,
)
from sandbox.seeding.omnichannel_campaigns import make_omnichannel_campaigns
from sandbox.seeding.profiles import make_profiles
from sandbox.seeding.tags import make_further_tags, make_tag_groups, make_tags
from sandbox.seeding.text_messaging import (
    make_text_messaging_configuration,
    make_text_messaging_senders,
)
from sandbox.seeding.translations import make_translations

_MIN_PROFILES, _MAX_PROFILES, _EVENTS_PER_PROFILE = 640, 25_000, 8
_PROFILES_PER_SUPPRESSED = 125  # for each 100 suppressed profiles


class SeededAccount(NamedTuple):
    """The data of an account."""

    log: EventLog
    collections: dict[str, Collection]
    members: Memberships


def seed_account(
    seed: int,
    events: int,
    naming: Naming,
    now: datetime,
    days: float,
    *,
    without: Container[str],
    odd_dates: bool,
    tame: bool,
    times: Mapping[str, Sequence[int]],
    suppressions: Sequence[Sequence[int]] | None,
) -> SeededAccount:
    """Generate all data; `Account.seeded` describes the options."""

    # Each part's name seeds its generator: a new name means other data for the same seed.
    def rng(part: str) -> random.Random:
        return random.Random(f"{seed}/{part}")

    tags, first_flows = make_tags(rng("tags")), make_flows(rng("flows"), now)
    lists = make_lists(rng("lists"), now, tags, first_flows)
    metrics = make_metrics(rng("metrics"), naming, without, now)
    order, view = metrics["order"][0], metrics["view_product"][0]
    order.relationships["flow-triggers"] = [first_flows[1]]
    campaigns = make_campaigns(rng("campaigns"), now, days, lists, tags, odd_dates=odd_dates)
    all_events = events + sum(map(len, times.values()))
    count = min(_MAX_PROFILES, max(_MIN_PROFILES, all_events // _EVENTS_PER_PROFILE))
    count = max(count, _PROFILES_PER_SUPPRESSED * len(suppressions or ()) // 100)
    profiles = make_profiles(
        rng("profiles"), count, [one.id for one in lists], now, suppressions=suppressions
    )

    templates, images = (
        make_templates(rng("templates"), now),
        make_images(rng("images"), now),
    )
    link_templates_and_images(campaigns, templates, images)
    all_tags = tags + make_further_tags(rng("further tags"))
    all_flows = first_flows + make_further_flows(rng("further flows"), now)
    actions = add_flow_actions(rng("flow actions"), all_flows, now, templates, all_tags)

    log = EventLog(seed, list(chain.from_iterable(metrics.values())), profiles, [])
    generator = EventGenerator(
        rng("story"), log, metrics, campaigns, first_flows, lists, now, days, tame=tame
    )
    generator.add_events(events, times)

    segments = make_segments(rng("segments"), now, all_tags, all_flows, order.id)
    members = Memberships()
    add_members(rng("list members"), members, lists, profiles, now)
    add_members(rng("segment members"), members, segments, profiles, now)
    items, variants, categories = make_catalog(rng("catalog"), now)
    coupons, codes = make_coupons(rng("coupons"), now, profiles)
    custom_metrics = make_custom_metrics(rng("custom metrics"), now, order, view)
    mapped: dict[str, dict[str, list[Resource]]] = {
        "revenue": {"metric": [order]},
        "ordered_product": {"metric": metrics["order_product"]},
        "viewed_product": {"metric": [view]},
        "added_to_cart": {"custom-metric": [custom_metrics[0]]},
        "refunded_sales": {},
    }
    forms = make_forms(rng("forms"), now)
    add_form_visits(rng("visits"), forms, profiles, now, days)
    account = make_account(rng("account"))
    webhooks, topics = make_webhooks(rng("webhooks"), now)
    sources = make_data_sources(rng("data sources"))
    make_metric_properties(rng("metric properties"), log)
    contents = make_universal_contents(rng("universal contents"), now)
    omnichannel = make_omnichannel_campaigns(
        rng("omnichannel campaigns"), now, lists, tags, templates, images
    )

    resources = [
        [account],
        campaigns,
        make_recipient_estimations(rng("recipient estimations"), campaigns),
        [message for campaign in campaigns for message in campaign.related("campaign-messages")],
        lists,
        log.metrics,
        profiles,
        [token for profile in profiles for token in profile.related("push-tokens")],
        segments,
        all_tags,
        make_tag_groups(rng("tag groups"), all_tags),
        all_flows,
        actions,
        templates,
        contents,
        images,
        forms,
        make_web_feeds(rng("web feeds"), now),
        items,
        variants,
        categories,
        make_reviews(rng("reviews"), now, items),
        coupons,
        codes,
        custom_metrics,
        make_mapped_metrics(rng("mapped metrics"), now, mapped),
        webhooks,
        topics,
        [make_tracking_setting(account)],
        sources,
        *make_object_types(rng("objects"), now, sources),
        make_billing_usage(now),
        *make_brands(rng("brands"), account, images),
        *make_text_messaging_senders(rng("senders"), now),
        [make_text_messaging_configuration(rng("text messaging"), now, account)],
        make_translations(rng("translations"), now, omnichannel, actions, templates, contents),
    ]
    collections = {some[0].type: Collection(some) for some in resources}
    return SeededAccount(log, collections | added_collections(omnichannel), members)
