"""Asks whether a parent still exists whose children Klaviyo does not know (404).

Only then its children are gone too. Klaviyo, or a proxy, also answers 404 by mistake: to take that
for a deletion would lose the children without an error.
"""

from __future__ import annotations

from dataclasses import dataclass

from tap_klaviyo.errors import ApiError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import query_by_id
from tap_klaviyo.sync.stream_sync import StreamSync
from tap_klaviyo.sync.window_reader import WindowReader


@dataclass(eq=False)
class ParentCheck:
    """A task that requests the parent of the partition of ``reader``.

    ``error`` is what Klaviyo has answered for the children.
    """

    reader: WindowReader
    error: ApiError
    requests: int = 0

    def perform(self, client: Client) -> bool:
        """Whether the parent exists. Raises what :meth:`Client.request` raises otherwise."""
        partition = self.reader.partition
        assert partition.sync.parent is not None
        query = query_by_id(partition.sync.parent.selected.stream)
        url = query.url((), None, partition.parent)
        try:
            client.request(url, query, lambda body: None, count=self._count_request)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _count_request(self) -> None:
        self.requests += 1


def all_gone_error(sync: StreamSync) -> ApiError:
    """The error of a child stream whose parents have all been deleted, as it seems."""
    assert sync.parent is not None
    return ApiError(
        f"Klaviyo knows none of the {len(sync.gone)} {sync.parent.name} that it has just listed "
        "(404). Check base_url and revision; run again.",
        status=404,
    )
