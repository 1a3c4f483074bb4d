"""A whole account put together."""

import random
from collections.abc import Collection as Container
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from sandbox.events import EventLog
from sandbox.memberships import Memberships
from sandbox.resources import Collection, Resource
from sandbox.seeding.account import (
    make_account,
    make_tracking_setting,
    make_webhooks,
)
from sandbox.seeding.campaigns import illustrate, make_campaigns
from sandbox.seeding.commerce import make_catalog, make_coupons, make_reviews
from sandbox.seeding.content import (
    make_forms,
    make_images,
    make_templates,
    make_universal_contents,
    make_web_feeds,
)
from sandbox.seeding.custom_objects import make_sources, make_types
from sandbox.seeding.events import Story
from sandbox.seeding.flows import furnish, make_flows, make_further_flows
from sandbox.seeding.form_visits import visit
from sandbox.seeding.lists_segments import gather, make_lists, make_segments
from sandbox.seeding.metrics import (
    Naming,
    make_custom_metrics,
    make_mapped_metrics,
    make_metrics,
    make_properties,
)
from sandbox.seeding.profiles import make_profiles
from sandbox.seeding.tags import make_further_tags, make_tag_groups, make_tags

_FEWEST_PROFILES, _MOST_PROFILES, _EVENTS_PER_PROFILE = 640, 25_000, 8


class Whole(NamedTuple):
    """What an account consists of."""

    log: EventLog
    collections: dict[str, Collection]
    members: Memberships


def assemble(
    seed: int,
    events: int,
    naming: Naming,
    now: datetime,
    days: float,
    *,
    without: Container[str],
    odd_dates: bool,
    tame: bool,
) -> Whole:
    """Make everything; see `Account.seeded` for the options."""

    def rng(part: str) -> random.Random:
        return random.Random(f"{seed}/{part}")

    tags, first_flows = make_tags(rng("tags")), make_flows(rng("flows"), now)
    lists = make_lists(rng("lists"), now, tags, first_flows)
    roles = make_metrics(rng("metrics"), naming, without, now)
    order, view = roles["order"][0], roles["view_product"][0]
    order.relations["flow-triggers"] = [first_flows[1]]
    campaigns = make_campaigns(rng("campaigns"), now, days, lists, tags, odd_dates=odd_dates)
    count = min(_MOST_PROFILES, max(_FEWEST_PROFILES, events // _EVENTS_PER_PROFILE))
    profiles = make_profiles(rng("profiles"), count, [one.id for one in lists], now)

    templates, images = (
        make_templates(rng("templates"), now),
        make_images(rng("images"), now),
    )
    illustrate(campaigns, templates, images)
    all_tags = tags + make_further_tags(rng("further tags"))
    all_flows = first_flows + make_further_flows(rng("further flows"), now)
    actions = furnish(rng("flow actions"), all_flows, now, templates, all_tags)

    log = EventLog(seed, list(chain.from_iterable(roles.values())), profiles, [])
    story = Story(rng("story"), log, roles, campaigns, first_flows, lists, now, days, tame=tame)
    story.write(events)

    segments = make_segments(rng("segments"), now, all_tags, all_flows, order.id)
    members = Memberships()
    gather(rng("list members"), members, lists, profiles, now)
    gather(rng("segment members"), members, segments, profiles, now)
    items, variants, categories = make_catalog(rng("catalog"), now)
    coupons, codes = make_coupons(rng("coupons"), now, profiles)
    customs = make_custom_metrics(rng("custom metrics"), now, order, view)
    mapped: dict[str, dict[str, list[Resource]]] = {
        "revenue": {"metric": [order]},
        "ordered_product": {"metric": roles["order_product"]},
        "viewed_product": {"metric": [view]},
        "added_to_cart": {"custom-metric": [customs[0]]},
        "refunded_sales": {},
    }
    forms = make_forms(rng("forms"), now)
    visit(rng("visits"), forms, profiles, now, days)
    account = make_account(rng("account"))
    webhooks, topics = make_webhooks(rng("webhooks"), now)
    sources = make_sources(rng("data sources"))
    make_properties(rng("metric properties"), log)

    made = [
        [account],
        campaigns,
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
        make_universal_contents(rng("universal contents"), now),
        images,
        forms,
        make_web_feeds(rng("web feeds"), now),
        items,
        variants,
        categories,
        make_reviews(rng("reviews"), now, items),
        coupons,
        codes,
        customs,
        make_mapped_metrics(rng("mapped metrics"), now, mapped),
        webhooks,
        topics,
        [make_tracking_setting(account)],
        sources,
        *make_types(rng("objects"), now, sources),
    ]
    return Whole(log, {some[0].kind: Collection(some) for some in made}, members)
