"""A whole account put together."""

import random
from collections.abc import Collection as Container
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from sandbox.events import EventLog
from sandbox.memberships import Memberships
from sandbox.resources import Collection, Resource
from sandbox.seeding import contents, flows, groups, mailings, objects, settings, shop
from sandbox.seeding.metrics import Naming, make_metrics
from sandbox.seeding.people import make_profiles
from sandbox.seeding.story import Story
from sandbox.seeding.visits import visit

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

    tags, first_flows = mailings.make_tags(rng("tags")), flows.make_flows(rng("flows"), now)
    lists = mailings.make_lists(rng("lists"), now, tags, first_flows)
    roles = make_metrics(rng("metrics"), naming, without, now)
    order, view = roles["order"][0], roles["view_product"][0]
    order.relations["flow-triggers"] = [first_flows[1]]
    campaigns = mailings.make_campaigns(
        rng("campaigns"), now, days, lists, tags, odd_dates=odd_dates
    )
    count = min(_MOST_PROFILES, max(_FEWEST_PROFILES, events // _EVENTS_PER_PROFILE))
    profiles = make_profiles(rng("profiles"), count, [one.id for one in lists], now)

    templates, images = (
        contents.make_templates(rng("templates"), now),
        contents.make_images(rng("images"), now),
    )
    mailings.illustrate(campaigns, templates, images)
    all_tags = tags + groups.make_further_tags(rng("further tags"))
    all_flows = first_flows + flows.make_further_flows(rng("further flows"), now)
    actions = flows.furnish(rng("flow actions"), all_flows, now, templates, all_tags)

    log = EventLog(seed, list(chain.from_iterable(roles.values())), profiles, [])
    story = Story(rng("story"), log, roles, campaigns, first_flows, lists, now, days, tame=tame)
    story.write(events)

    segments = groups.make_segments(rng("segments"), now, all_tags, all_flows, order.id)
    members = Memberships()
    groups.gather(rng("list members"), members, lists, profiles, now)
    groups.gather(rng("segment members"), members, segments, profiles, now)
    items, variants, categories = shop.make_catalog(rng("catalog"), now)
    coupons, codes = shop.make_coupons(rng("coupons"), now, profiles)
    customs = settings.make_custom_metrics(rng("custom metrics"), now, order, view)
    mapped: dict[str, dict[str, list[Resource]]] = {
        "revenue": {"metric": [order]},
        "ordered_product": {"metric": roles["order_product"]},
        "viewed_product": {"metric": [view]},
        "added_to_cart": {"custom-metric": [customs[0]]},
        "refunded_sales": {},
    }
    forms = contents.make_forms(rng("forms"), now)
    visit(rng("visits"), forms, profiles, now, days)
    account = settings.make_account(rng("account"))
    webhooks, topics = settings.make_webhooks(rng("webhooks"), now)
    sources = objects.make_sources(rng("data sources"))
    settings.make_properties(rng("metric properties"), log)

    made = [
        [account],
        campaigns,
        lists,
        log.metrics,
        profiles,
        [token for profile in profiles for token in profile.related("push-tokens")],
        segments,
        all_tags,
        groups.make_tag_groups(rng("tag groups"), all_tags),
        all_flows,
        actions,
        templates,
        contents.make_universal_contents(rng("universal contents"), now),
        images,
        forms,
        contents.make_web_feeds(rng("web feeds"), now),
        items,
        variants,
        categories,
        shop.make_reviews(rng("reviews"), now, items),
        coupons,
        codes,
        customs,
        settings.make_mapped_metrics(rng("mapped metrics"), now, mapped),
        webhooks,
        topics,
        [settings.make_tracking_setting(account)],
        sources,
        *objects.make_types(rng("objects"), now, sources),
    ]
    return Whole(log, {some[0].kind: Collection(some) for some in made}, members)
