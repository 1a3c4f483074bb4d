"""How many profiles are in each list or segment, as Klaviyo counts them.

Source: Klaviyo's API reference, *Get List* and *Get Segment*: ``profile_count`` is given only on
request, for one list at a time, and then at a rate of 1 request a second and 15 a minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from tap_klaviyo.errors import ApiError
from tap_klaviyo.klaviyo.account import read_resources
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import Query, query_for
from tap_klaviyo.logs import get_logger
from tap_klaviyo.streams.model import PARENT, TIERS, Stream

logger = get_logger(__name__)

PROFILE_COUNT = "profile_count"
"""The attribute; the streams whose resources have it are in ``COUNTED_GROUPS``."""

COUNTED_GROUPS = ("lists", "segments")
"""The streams whose resources have a number of profiles."""


@dataclass(frozen=True)
class ProfileCount:
    """A list or a segment of ``stream``, and how many profiles are in it; None if not known."""

    stream: str
    id: str
    name: str
    profile_count: int | None


def read_profile_counts(client: Client, stream: Stream) -> Iterator[ProfileCount]:
    """The number of profiles of each list or segment; those deleted in the meantime are left out.

    Raises what :meth:`Client.request` raises.
    """
    ids = query_for(stream, {"properties": {"id": {}}})
    query = Query(
        path=f"{stream.path}/{PARENT}",
        parameters={f"additional-fields[{stream.type}]": PROFILE_COUNT},
        scopes=stream.scopes,
        tier="XS",
    )
    identifiers = read_resources(client, ids, lambda resource: str(resource["id"]))
    logger.info(
        "Asking for the number of profiles of %d %s, at most %d a minute.",
        len(identifiers),
        stream.name,
        TIERS[query.tier].steady,
    )
    for identifier in identifiers:
        url = query.url((), page_size=None, parent=identifier)
        try:
            yield client.request(url, query, lambda body: _parsed(body.decompressed(), stream.name))
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise


def _parsed(body: bytes, stream: str) -> ProfileCount:
    """The count in an answer. Raises ValueError for what is none."""
    try:
        resource = json.loads(body)["data"]
        attributes = resource["attributes"]
        count = attributes.get(PROFILE_COUNT)
        name = str(attributes.get("name") or "")
        return ProfileCount(
            stream, str(resource["id"]), name, None if count is None else int(count)
        )
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a resource with a number of profiles: {error!r}") from error
