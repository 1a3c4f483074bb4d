"""What belongs in each stream that is not selected by default, in the account's own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sync_runner import NOW, Key, Output, truth

from sandbox.account import Account
from tap_klaviyo.streams import BY_NAME, STREAMS

Truth = Callable[[Account], set[Key]]


def all_of(kind: str) -> Truth:
    """Every living resource of a type, by its id."""
    return lambda account: {(identifier,) for identifier in account.ids(kind)}


def below(kind: str, *relations: str) -> Truth:
    """All that the resources of a type relate to, by their ids."""
    return lambda account: {(child,) for _, child in pairs(account, kind, *relations)}


def pairs(account: Account, kind: str, *relations: str) -> set[Key]:
    """The ids of parents and of what they relate to, by way of one relation after the other."""
    parents, found = account.ids(kind), set[Key]()
    for relation in relations:
        found = {
            (parent, child)
            for parent in parents
            for child in account.ids_under(kind, parent, relation)
        }
        parents, kind = [child for _, child in found], relation.removesuffix("s")
    return found


def members_of(kind: str) -> Truth:
    """Each membership of a list or a segment, by the ids of the two."""
    return lambda account: {
        (group, profile) for group in account.ids(kind) for profile in account.members(group)
    }


def events_of(*names: str) -> Truth:
    """The events of Klaviyo's own metrics with these names, up to NOW."""
    return lambda account: {(event,) for event in account.event_ids(names, end=NOW)}


def any_events(account: Account) -> set[Key]:
    """All events up to NOW, of whatever metric."""
    return {(event,) for event in account.event_ids_of(None, end=NOW)}


def list_exclusions(account: Account) -> set[Key]:
    """Each suppression of a profile for one list."""
    return set(_list_exclusions(account))


def _list_exclusions(account: Account) -> Iterator[Key]:
    for profile in account.collections["profile"]:
        marketing = profile.attributes["subscriptions"]["email"]["marketing"]
        for entry in marketing["list_suppressions"]:
            moment = entry["timestamp"].replace("+00:00", "Z")
            yield entry["list_id"], profile.id, entry["reason"], moment


LISTS: dict[str, Truth] = {
    stream.name: all_of(stream.type)
    for stream in STREAMS
    if stream.keys == ("id",) and not (stream.metrics or stream.parent)
}
"""Each stream that has all resources of a type."""

TRUTHS: dict[str, Truth] = {
    **{name: every for name, every in LISTS.items() if not BY_NAME[name].selected_by_default},
    "subscribed_to_email": events_of("Subscribed to Email Marketing"),
    "subscribed_to_text_message_transactional": events_of(
        "Subscribed to Text Messaging Transactional"
    ),
    "unsubscribed_from_text_message_transactional": events_of(
        "Unsubscribed from Text Messaging Transactional"
    ),
    "events": any_events,
    "list_exclusions": list_exclusions,
    "list_members": members_of("list"),
    "segment_members": members_of("segment"),
    "campaign_messages": below("campaign", "campaign-messages"),
    "flow_actions": below("flow", "flow-actions"),
    "flow_messages": below("flow", "flow-actions", "flow-messages"),
    "form_versions": below("form", "form-versions"),
    "coupon_codes": below("coupon", "coupon-codes"),
    "metric_properties": below("metric", "metric-properties"),
    "object_records": below("object-type", "object-records"),
}
"""For each stream beyond the default ones, the keys of its records in a run begun at NOW."""


@dataclass(frozen=True)
class Family:
    """Where the children of a stream come from: the type of their parents, and the relation.

    ``filtered`` means that a parent is named in a filter instead of in the path.
    """

    kind: str
    relation: str
    filtered: bool = False


FAMILIES = {
    "list_exclusions": Family("list", "", filtered=True),
    "list_members": Family("list", "profiles"),
    "segment_members": Family("segment", "profiles"),
    "campaign_messages": Family("campaign", "campaign-messages"),
    "flow_actions": Family("flow", "flow-actions"),
    "flow_messages": Family("flow-action", "flow-messages"),
    "form_versions": Family("form", "form-versions"),
    "coupon_codes": Family("coupon", "coupon-codes", filtered=True),
    "metric_properties": Family("metric", "metric-properties"),
    "object_records": Family("object-type", "object-records"),
}
"""Each stream of children."""


def parent_of(name: str) -> str:
    """The stream whose records are the parents."""
    parent = BY_NAME[name].parent
    assert parent is not None
    return parent.stream


def expected(shop: Account, name: str) -> set[Key]:
    """The keys that a stream should have."""
    if name in TRUTHS:
        return TRUTHS[name](shop)
    return {(identifier,) for identifier in truth(shop, BY_NAME[name], NOW)}


def assert_complete(shop: Account, output: Output, *names: str) -> None:
    """Each of these streams has just the records that it should, each once."""
    for name in names:
        assert sorted(output.keys(name)) == sorted(expected(shop, name)), name
