"""An account that is being served, and what a sync of it has to bring, in its own words."""

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
"""The streams of events, and what the account counts in each."""

KEY_OF = {
    **dict.fromkeys((*EVENT_STREAMS, "campaigns", "lists"), "id"),
    "global_exclusions": "email",
}
"""The key of every table."""

LOOKBACK = 3600
_QUIET = 2 * LOOKBACK
_LATENESS = (1, 20, 1800, 3500)
_TIMEOUT = 30


@dataclass(frozen=True)
class Shop:
    """A small account. Its events end two hours ago, so that no look-back finds them again."""

    box: Sandbox

    @property
    def account(self) -> Account:
        """Its data."""
        return self.box.account

    def furnish(self, folder: Path) -> None:
        """Put a `config.json` for it and a discovered `catalog.json` into a folder."""
        known = {"api_key": self.box.key, "base_url": self.box.url, "start_date": "2020-01-01"}
        (folder / "config.json").write_text(json.dumps(known))
        discovered = run(TAP, "--config", "config.json", "--discover", cwd=folder).stdout
        (folder / "catalog.json").write_text(discovered)

    def keys(self, start: float = 0, end: float = 4e9) -> Keys:
        """What belongs into each table, sorted: of events those in `[start, end)`."""
        events = {
            stream: self.account.event_ids(NATIVE[role], start=start, end=end)
            for stream, role in EVENT_STREAMS.items()
        }
        suppressed = [
            self.account.collections["profile"][id] for id in self.account.suppressed_profiles()
        ]
        emails = [profile.attributes["email"] for profile in suppressed]
        other = {
            "campaigns": self.account.campaign_ids(),
            "lists": self.account.list_ids(),
            "global_exclusions": [email for email in emails if email],
        }
        return {stream: sorted(keys) for stream, keys in (events | other).items()}

    def live_on(self) -> Keys:
        """Something new for every table: fresh events and late ones, a list, a suppression.

        Returns the keys of what is new. Events come under the old and the new name of a metric.
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
        """What the API tells of a stream's records, by id: attributes, and what they include."""
        if stream == "lists":
            pages = [self._pages("lists", include="tags")]
        elif stream == "campaigns":
            pages = [
                self._pages(
                    "campaigns",
                    include="tags",
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
            record["id"]: record for walk in pages for page in walk for record in _records(page)
        }

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
def open_shop(events: int = 2000, **options: Any) -> Iterator[Shop]:
    """Serve a new account with metrics of either naming era; `options` are those of `Sandbox`."""
    now = datetime.fromtimestamp(time.time() - _QUIET, timezone.utc)
    account = Account.seeded(3, events, "both", now, odd_dates=True)
    with Sandbox(account, **options) as box:
        yield Shop(box)


def mark(state: Mapping[str, Any]) -> int:
    """Up to where a finished run has read: the bookmark that all streams of events share."""
    (moment,) = {bookmark["timestamp"] for bookmark in state["bookmarks"].values()}
    assert isinstance(moment, int)
    return moment


def _records(page: Record) -> Iterator[Record]:
    """The resources of a page in the form of records, with what they are related to embedded."""
    included = {(other["type"], other["id"]): _flat(other) for other in page["included"]}
    for resource in page["data"]:
        record = _flat(resource)
        for name, relation in resource["relationships"].items():
            if "data" not in relation:
                continue
            data = relation["data"]
            pointers = data if isinstance(data, list) else [data] if data else []
            record[name] = [included.get((one["type"], one["id"]), one) for one in pointers]
            if not isinstance(data, list):
                record[f"{name}_id"] = data["id"] if data else None
        yield record


def _flat(resource: Record) -> Record:
    return {"type": resource["type"], "id": resource["id"], **resource["attributes"]}
