"""The registry: one row of data per stream.

A row says where a stream's records come from and what they are; nothing else in the tap knows a
stream by name. A stream of a kind that exists here is added with a row and a schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

EVENT_PAGE_SIZE_FALLBACK = 200
"""The most events a page could hold before Klaviyo's revision 2026-01-15."""


@dataclass(frozen=True)
class Source:
    """Where in a resource's attributes the value of a record's property stands.

    ``path`` is dotted. With ``latest`` the value at ``path`` is an array of objects with a
    ``timestamp`` each, and the property is the ``latest`` attribute of the newest of them.
    """

    path: str
    latest: str = ""


@dataclass(frozen=True)
class Include:
    """A related resource, asked for with ``include`` and embedded in each record as an array.

    ``property`` holds it in the record, ``id_property`` its id alone (for a to-one relation).
    ``scope`` is what the key needs to see it.
    """

    property: str
    relationship: str
    type: str
    scope: str
    id_property: str = ""
    sources: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """One stream: what it is called, where it is read, what a record holds.

    ``variants`` are filters, one pass for each; the stream is the union of the passes. ``metrics``
    are the names of the Klaviyo metric whose events the stream holds, oldest first, each of which
    is a pass too. A stream with a ``replication_key`` is read in windows of time.
    ``additional`` names the attributes that Klaviyo gives only on request. ``tier`` is the
    endpoint's rate limit, ``slow`` the tier that holds when an attribute is asked for. ``aliases``
    are the stream's names in the catalogs of singer-io's tap.
    """

    name: str
    schema: str
    description: str
    path: str
    type: str
    keys: tuple[str, ...]
    scope: str
    tier: str
    page_size: int | None = None
    sort: str = ""
    replication_key: str = ""
    metrics: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("",)
    includes: tuple[Include, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    additional: tuple[str, ...] = ()
    slow: Mapping[str, str] = field(default_factory=dict)
    selected_by_default: bool = True
    fields_not_by_default: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def replication_method(self) -> str:
        """What Singer calls the way the stream is read unless the user overrides it."""
        return "INCREMENTAL" if self.replication_key else "FULL_TABLE"


def _events(name: str, *metrics: str, aliases: tuple[str, ...] = ()) -> Stream:
    """A row for the events of one metric; ``metrics`` are its names, oldest first."""
    return Stream(
        name=name,
        schema="event",
        description=f"Events of the metric {metrics[-1]}.",
        path="/api/events",
        type="event",
        keys=("id",),
        scope="events:read",
        tier="XL",
        sort="timestamp",
        replication_key="timestamp",
        metrics=metrics,
        includes=(
            Include("profile", "profile", "profile", "profiles:read", "profile_id"),
            Include("metric", "metric", "metric", "metrics:read", "metric_id"),
        ),
        aliases=aliases,
    )


_TAGS = Include("tags", "tags", "tag", "tags:read")
_MESSAGES = Include(
    "campaign-messages",
    "campaign-messages",
    "campaign-message",
    "campaigns:read",
    sources={
        name: Source(f"definition.{name}")
        for name in (
            "label",
            "channel",
            "content",
            "render_options",
            "notification_type",
            "kv_pairs",
            "options",
        )
    },
)
_SUPPRESSION = "subscriptions.email.marketing.suppression"

STREAMS: tuple[Stream, ...] = (
    _events("receive", "Received Email"),
    _events("click", "Clicked Email"),
    _events("open", "Opened Email"),
    _events("bounce", "Bounced Email"),
    _events("dropped_email", "Dropped Email"),
    _events("mark_as_spam", "Marked Email as Spam"),
    _events("unsubscribe", "Unsubscribed", "Unsubscribed from Email Marketing"),
    _events("subscribe_list", "Subscribed to List"),
    _events("unsub_list", "Unsubscribed from List"),
    _events("update_email_preferences", "Updated Email Preferences"),
    _events(
        "clicked_sms",
        "Clicked SMS",
        "Clicked Text Message",
        aliases=("clicked_text_message",),
    ),
    _events(
        "consented_to_receive",
        "Consented to Receive SMS",
        "Subscribed to SMS Marketing",
        "Subscribed to Text Messaging Marketing",
        aliases=("subscribed_to_sms", "subscribed_to_text_message"),
    ),
    _events(
        "failed_to_deliver",
        "Failed to Deliver SMS",
        "Failed to Deliver Text Message",
        aliases=("failed_to_deliver_text_message",),
    ),
    _events(
        "failed_to_deliver_automated_response",
        "Failed to Deliver Automated Response SMS",
        "Failed to Deliver Automated Response Text Message",
        aliases=("failed_to_deliver_automated_response_text_message",),
    ),
    _events(
        "received_automated_response",
        "Received Automated Response SMS",
        "Received Automated Response Text Message",
        aliases=("received_automated_response_text_message",),
    ),
    _events(
        "received_sms",
        "Received SMS",
        "Received Text Message",
        aliases=("received_text_message",),
    ),
    _events(
        "sent_sms",
        "Sent SMS",
        "Sent Text Message",
        aliases=("sent_text_message",),
    ),
    _events(
        "unsubscribed_from_sms",
        "Unsubscribed from SMS",
        "Unsubscribed from SMS Marketing",
        "Unsubscribed from Text Messaging Marketing",
        aliases=("unsubscribed_from_text_message",),
    ),
    Stream(
        name="campaigns",
        schema="campaign",
        description="Campaigns of all channels, live and archived, with messages and tags.",
        path="/api/campaigns",
        type="campaign",
        keys=("id",),
        scope="campaigns:read",
        tier="M",
        page_size=100,
        variants=tuple(
            f"equals(messages.channel,'{channel}'),equals(archived,{archived})"
            for channel, archived in product(("email", "sms", "mobile_push"), ("false", "true"))
        ),
        includes=(_MESSAGES, _TAGS),
    ),
    Stream(
        name="lists",
        schema="list",
        description="Lists with their tags.",
        path="/api/lists",
        type="list",
        keys=("id",),
        scope="lists:read",
        tier="L",
        page_size=10,
        includes=(_TAGS,),
    ),
    Stream(
        name="global_exclusions",
        schema="global_exclusion",
        description="Profiles suppressed from email, each with all of its suppressions.",
        path="/api/profiles",
        type="profile",
        keys=("email",),
        scope="profiles:read",
        tier="L",
        page_size=100,
        sort=f"{_SUPPRESSION}.timestamp",
        variants=(f"greater-or-equal({_SUPPRESSION}.timestamp,1970-01-01T00:00:00Z)",),
        sources={
            "suppressions": Source(_SUPPRESSION),
            "reason": Source(_SUPPRESSION, latest="reason"),
            "timestamp": Source(_SUPPRESSION, latest="timestamp"),
        },
        additional=("subscriptions", "predictive_analytics"),
        slow={"predictive_analytics": "M"},
        fields_not_by_default=("predictive_analytics",),
    ),
)

BY_NAME: dict[str, Stream] = {
    name: stream for stream in STREAMS for name in (stream.name, *stream.aliases)
}
"""Every stream under its own name and under each of its aliases."""
