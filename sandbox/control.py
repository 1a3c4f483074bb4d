"""Control endpoints under `/sandbox/`: change an account, inject faults, read the request log.

With several accounts, the parameter `key` of the URL chooses one, by its API key.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

from aiohttp import web

from sandbox.account import Account
from sandbox.request_log import longest_chain

if TYPE_CHECKING:
    from sandbox.server import Sandbox

_Command: TypeAlias = "Callable[[Sandbox, Account, dict[str, Any]], Any]"


async def handle(server: "Sandbox", request: web.BaseRequest) -> web.StreamResponse:
    """Run one command. Returns 404 for an unknown one and 400 for invalid options."""
    command = _COMMANDS.get((request.method, request.path))
    if command is None:
        return web.json_response({"error": f"one of {sorted(_COMMANDS)}"}, status=404)
    try:
        options = json.loads(await request.read() or b"{}")
        account = server.accounts[request.query.get("key", server.key)]
        return web.json_response(command(server, account, options))
    except (KeyError, TypeError, ValueError) as error:
        return web.json_response({"error": repr(error)}, status=400)


def _arrive(_: "Sandbox", account: Account, options: dict[str, Any]) -> Any:
    """Add events: `counts` by metric, and other options of `Account.arrive`."""
    counts = options.pop("counts", {"Opened Email": 10})
    return {
        "events": [
            {"id": event.id, "metric_id": event.metric_id, "timestamp": event.timestamp}
            for metric, count in counts.items()
            for event in account.arrive(metric, count, **options)
        ]
    }


def _counting(_: "Sandbox", account: Account, options: dict[str, Any]) -> Any:
    """Remove all rules if `clear`, then `set` rules, each with the options of `set_counting`."""
    if options.get("clear"):
        account.clear_counting()
    rules = options.get("set", [])
    for one in rules:
        account.set_counting(**one)
    return {"set": len(rules)}


def _delete_events(_: "Sandbox", account: Account, options: dict[str, Any]) -> Any:
    """Delete the events with these `ids`."""
    ids = options["ids"]
    account.delete_events(ids)
    return {"deleted": len(ids)}


def _faults(server: "Sandbox", _: Account, options: dict[str, Any]) -> Any:
    """Remove all faults if `clear`, then `add` faults, each with the options of `Faults.add`."""
    if options.get("clear"):
        server.faults.clear()
    added = options.get("add", [])
    for fault in added:
        server.faults.add(**fault)
    return {"added": len(added)}


def _oauth(server: "Sandbox", _: Account, options: dict[str, Any]) -> Any:
    """Set `rotation` and `lifetime` of the OAuth app; `revoke` its grant, or `grant` a new one."""
    app = server.oauth
    app.rotation = bool(options.get("rotation", app.rotation))
    app.lifetime = float(options.get("lifetime", app.lifetime))
    if options.get("revoke"):
        app.revoke()
    if options.get("grant"):
        app.grant()
    return {"refresh_token": app.refresh_token, "refreshes": app.refreshes}


def _requests(server: "Sandbox", _: Account, options: dict[str, Any]) -> Any:
    """The request log, and the length of its longest chain of dependent requests."""
    return {
        "requests": [asdict(logged) for logged in server.requests],
        "longest_chain": longest_chain(server.requests),
    }


def _truth(_: "Sandbox", account: Account, options: dict[str, Any]) -> Any:
    """The ids of everything in the account, and its `counts`, to compare an extraction with."""
    return {
        "metrics": account.metrics(),
        "events": {
            metric["id"]: account.event_ids_of(metric["id"]) for metric in account.metrics()
        },
        "counts": {metric["id"]: account.counts(metric["id"]) for metric in account.metrics()},
        "campaigns": account.campaign_ids(),
        "lists": account.list_ids(),
        "profiles": account.ids("profile"),
        "suppressed_profiles": account.suppressed_profiles(),
        "ids": {name: account.ids(name) for name in account.collections},
        "members": {
            id: account.members(id) for name in ("list", "segment") for id in account.ids(name)
        },
    }


_COMMANDS: Mapping[tuple[str, str], _Command] = {
    ("POST", "/sandbox/arrive"): _arrive,
    ("POST", "/sandbox/counting"): _counting,
    ("POST", "/sandbox/delete_events"): _delete_events,
    ("POST", "/sandbox/faults"): _faults,
    ("POST", "/sandbox/oauth"): _oauth,
    ("GET", "/sandbox/requests"): _requests,
    ("GET", "/sandbox/truth"): _truth,
}
