"""A sandbox account that is served over HTTP, and the expected records of a sync."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from external_programs import TAP, run

from sandbox.account import Account
from sandbox.resources import Resource
from sandbox.revisions import REVISION
from sandbox.seeding.metrics import NATIVE
from sandbox.server import Sandbox

Record = dict[str, Any]
Keys = dict[str, list[str]]

EVENT_STREAMS = {
    "receive": "receive",
    "click": "click",
    "open": "open",
    "bounce": "bounce",
    "dropped_email": "drop",
    "mark_as_spam": "mark_as_spam",
    "unsubscribe": "unsubscribe",
    "subscribe_list": "subscribe_list",
    "unsub_list": "unsubscribe_list",
    "update_email_preferences": "update_preferences",
    "clicked_sms": "click_sms",
    "consented_to_receive": "consent_sms",
    "failed_to_deliver": "fail_sms",
    "failed_to_deliver_automated_response": "fail_automated_sms",
    "received_automated_response": "receive_automated_sms",
    "received_sms": "receive_sms",
    "sent_sms": "send_sms",
    "unsubscribed_from_sms": "unsubscribe_sms",
}
"""The event streams, and the role of their metric in the sandbox."""

KEY_OF = {
    **dict.fromkeys((*EVENT_STREAMS, "campaigns", "lists"), "id"),
    "global_exclusions": "email",
}
"""The key of the table of each default stream."""

_IN_DEFINITION = (
    "label",
    "channel",
    "content",
    "render_options",
    "notification_type",
    "kv_pairs",
    "options",
)

LOOKBACK = 3600
_QUIET = 2 * LOOKBACK
_LATENESS = (1, 20, 1800, 3500)
_TIMEOUT = 30


@dataclass(frozen=True)
class SandboxAccount:
    """A small account. Its events end two hours ago, outside of any look-back.

    ``key`` chooses one of the accounts that a sandbox serves; without it, it is the first one.
    """

    box: Sandbox
    key: str = ""

    @property
    def account(self) -> Account:
        """The data of the account."""
        return self.box.accounts[self.key or self.box.key]

    def write_files(self, folder: Path, *streams: str) -> None:
        """Writes `config.json` for the account and a discovered `catalog.json` into a folder.

        The catalog selects `streams`; without any, those that are selected by default.
        """
        config = {"api_key": self.box.key, "base_url": self.box.url, "start_date": "2020-01-01"}
        (folder / "config.json").write_text(json.dumps(config))
        catalog = json.loads(run(TAP, "--config=config.json", "--discover", cwd=folder).stdout)
        for entry in catalog["streams"] if streams else ():
            (top,) = (item["metadata"] for item in entry["metadata"] if not item["breadcrumb"])
            top["selected"] = entry["stream"] in streams
        (folder / "catalog.json").write_text(json.dumps(catalog))

    def keys(self, start: float = 0, end: float = 4e9) -> Keys:
        """The expected keys of each table, sorted; for events those in `[start, end)`."""
        events = {
            stream: self.account.event_ids(NATIVE[role], start=start, end=end)
            for stream, role in EVENT_STREAMS.items()
        }
        suppressed = [
            self.account.collections["profile"][id] for id in self.account.suppressed_profiles()
        ]
        emails = [profile.attributes["email"] for profile in suppressed]
        other_streams = {
            "campaigns": self.account.campaign_ids(),
            "lists": self.account.list_ids(),
            "global_exclusions": [email for email in emails if email],
        }
        return {stream: sorted(keys) for stream, keys in (events | other_streams).items()}

    def add_data(self) -> Keys:
        """Adds data for every table: new and late events, a list and a suppression.

        Returns the new keys. Events are added to metrics with the old and with the new name.
        """
        before = self.keys()
        now = time.time()
        for role in EVENT_STREAMS.values():
            for name in {NATIVE[role][0], NATIVE[role][-1]}:
                self.account.arrive(name, timestamps=[now - late for late in _LATENESS])
        self.account.add_list("Grüße 💐")
        self.account.suppress(self._unsuppressed().id, "SPAM_COMPLAINT")
        return {stream: sorted({*keys} - {*before[stream]}) for stream, keys in self.keys().items()}

    def records(self, stream: str) -> dict[str, Record]:
        """The records of a stream by key, with included resources, according to the API."""
        if stream in ("profiles", "global_exclusions"):
            profiles = self._profiles()
            return profiles if stream == "profiles" else _exclusions(profiles)
        if stream == "lists":
            pages = [self._pages("lists", include="tags")]
        elif stream == "campaigns":
            pages = [
                self._pages(
                    "campaigns",
                    include="campaign-messages,tags",
                    filter=f"equals(messages.channel,'{channel}'),equals(archived,{archived})",
                )
                for channel in ("email", "sms", "mobile_push")
                for archived in ("false", "true")
            ]
        else:
            names = {name.casefold() for name in NATIVE[EVENT_STREAMS[stream]]}
            pages = [
                self._pages(
                    "events",
                    include="profile,metric",
                    filter=f"equals(metric_id,'{metric['id']}')",
                )
                for metric in self.account.metrics()
                if metric["integration"] == "Klaviyo" and metric["name"].casefold() in names
            ]
        return {
            record["id"]: record for result in pages for page in result for record in _records(page)
        }

    def _profiles(self) -> dict[str, Record]:
        pages = self._pages("profiles", **{"additional-fields[profile]": "subscriptions"})
        return {one["id"]: _flatten(one) for page in pages for one in page["data"]}

    def _pages(self, path: str, **parameters: str) -> Iterator[Record]:
        url: str | None = f"{self.box.url}/api/{path}?{urlencode(parameters, quote_via=quote)}"
        headers = {"Authorization": f"Klaviyo-API-Key {self.box.key}", "revision": REVISION}
        while url:
            with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as answer:
                page: Record = json.load(answer)
            yield page
            url = page["links"]["next"]

    def _unsuppressed(self) -> Resource:
        profiles: Iterator[Resource] = iter(self.account.collections["profile"])
        suppressed = self.account.suppressed_profiles()
        return next(
            profile
            for profile in profiles
            if profile.attributes["email"] and profile.id not in suppressed
        )


@contextmanager
def serve_account(events: int = 2000, **options: Any) -> Iterator[SandboxAccount]:
    """Serves a new account with old and new metric names; `options` are those of `Sandbox`."""
    now = datetime.fromtimestamp(time.time() - _QUIET, timezone.utc)
    account = Account.seeded(3, events, "both", now, odd_dates=True)
    with Sandbox(account, **options) as box:
        yield SandboxAccount(box)


def bookmark(state: Mapping[str, Any]) -> int:
    """The bookmark of a finished run, which all event streams share."""
    (moment,) = {bookmark["timestamp"] for bookmark in state["bookmarks"].values()}
    assert isinstance(moment, int)
    return moment


def _records(page: Record) -> Iterator[Record]:
    """The resources of a page as records, with their related resources embedded."""
    included = {(one["type"], one["id"]): _flatten(one) for one in page["included"]}
    for resource in page["data"]:
        record = _flatten(resource)
        for name, relationship in resource["relationships"].items():
            if "data" not in relationship:
                continue
            data = relationship["data"]
            references = data if isinstance(data, list) else [data] if data else []
            record[name] = [included.get((one["type"], one["id"]), one) for one in references]
            if not isinstance(data, list):
                record[f"{name}_id"] = data["id"] if data else None
        yield record


def _exclusions(profiles: Mapping[str, Record]) -> dict[str, Record]:
    """The suppressed profiles by email address, with their suppressions and the latest of them."""
    exclusions = {}
    for profile in profiles.values():
        suppressions = profile["subscriptions"]["email"]["marketing"]["suppression"]
        if suppressions and profile["email"]:
            latest = max(suppressions, key=lambda suppression: suppression["timestamp"])
            exclusions[profile["email"]] = {**profile, "suppressions": suppressions, **latest}
    return exclusions


def _flatten(resource: Record) -> Record:
    """A resource as a record; the definition of a message is part of it."""
    attributes = {**resource["attributes"]}
    if resource["type"] == "campaign-message":
        attributes |= {**dict.fromkeys(_IN_DEFINITION), **attributes.pop("definition")}
    return {"type": resource["type"], "id": resource["id"], **attributes}
