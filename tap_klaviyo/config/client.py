"""The client that the settings describe, with an API key or OAuth."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from tap_klaviyo.config.settings import Config
from tap_klaviyo.klaviyo.auth import ApiKeyAuth, Secret
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.oauth import STOP_GRACE, OAuth, store_for
from tap_klaviyo.klaviyo.tokens import TokenStore
from tap_klaviyo.klaviyo.transport import Transport


def client_for(
    config: Config,
    *,
    tokens: TokenStore | None = None,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] | None = None,
) -> Client:
    """A client with the settings of ``config``; ``clock``, ``now`` and ``sleep`` are for tests.

    Clients that use one refresh token share its ``tokens``.
    """
    transport = partial(
        Transport,
        config.base_url,
        revision=config.revision,
        user_agent=config.user_agent,
        timeout=config.request_timeout,
        max_retry_wait=config.max_retry_wait.total_seconds(),
        quota_share=config.quota_share,
        source_of=config.source_of,
        clock=clock,
        now=now,
        sleep=sleep,
    )
    if isinstance(config.credentials, Secret):
        return Client(transport(), ApiKeyAuth(config.credentials))
    auth = OAuth(
        config.credentials,
        tokens or store_for(config.credentials, config.oauth_token_file),
        transport(grace=STOP_GRACE),
        patience=max(config.max_retry_wait.total_seconds(), config.request_timeout),
        clock=clock,
        now=now,
    )
    return Client(transport(), auth)
