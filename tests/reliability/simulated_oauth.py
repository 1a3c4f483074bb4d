"""A simulated account that is read through its OAuth app, in simulated time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulated_klaviyo import URL, SimulatedKlaviyo

from sandbox import Request, Response
from sandbox.oauth import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TOKEN_PATH
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import Query

LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="L")
OAUTH: dict[str, Any] = {
    "api_key": None,
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "refresh_token": REFRESH_TOKEN,
}
"""The settings of the app; they replace the API key of the simulation."""


class SimulatedOAuth:
    """An account, its app, and what the server has received.

    ``file`` is the token file of all clients, None for none.
    """

    def __init__(self, file: Path | None = None, rotation: bool = False) -> None:
        self.klaviyo = SimulatedKlaviyo("open", "lists")
        self.app = self.klaviyo.api.oauth
        self.app.rotation = rotation
        self.settings = {**OAUTH, **({"oauth_token_file": str(file)} if file else {})}
        self.received: list[Request] = []
        self.klaviyo.on_answer = self._note
        self.on_refresh: Callable[[], object] = lambda: None
        """Called when the server has answered a refresh, before the answer arrives."""

    def client(self, **settings: Any) -> Client:
        """A new client, as of a new run."""
        required = {"base_url": URL, "start_date": "2026-01-01"}
        return self.klaviyo.client(parse_config({**required, **self.settings, **settings}))

    def read(self, client: Client, count: int = 1) -> None:
        """Requests some lists."""
        with self.klaviyo.mounted():
            for _ in range(count):
                client.request("/api/lists", LISTS, lambda body: json.loads(body.decompressed()))

    def requests(self, path: str) -> int:
        """How many requests of a path there were."""
        return sum(request.path == path for request in self.received)

    @property
    def refreshes(self) -> int:
        """How many requests for an access token there were."""
        return self.requests(TOKEN_PATH)

    def _note(self, request: Request, answer: Response) -> Response:
        self.received.append(request)
        if request.path == TOKEN_PATH:
            self.on_refresh()
        return answer
