"""The control endpoints under `/sandbox/`: change the account, ask for faults, read the log."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

from aiohttp import web

if TYPE_CHECKING:
    from sandbox.server import Sandbox

_Command: TypeAlias = "Callable[[Sandbox, dict[str, Any]], Any]"


async def handle(box: "Sandbox", request: web.BaseRequest) -> web.StreamResponse:
    """Carry out one command; 400 with the reason if it makes no sense."""
    command = _COMMANDS.get((request.method, request.path))
    if command is None:
        return web.json_response({"error": f"one of {sorted(_COMMANDS)}"}, status=404)
    try:
        options = json.loads(await request.read() or b"{}")
        return web.json_response(command(box, options))
    except (KeyError, TypeError, ValueError) as error:
        return web.json_response({"error": repr(error)}, status=400)


def _arrive(box: "Sandbox", options: dict[str, Any]) -> Any:
    """Events of every metric in `counts`, each with the other options of `Account.arrive`."""
    counts = options.pop("counts", {"Opened Email": 10})
    return {
        "events": [
            {"id": event.id, "metric_id": event.metric_id, "timestamp": event.timestamp}
            for metric, count in counts.items()
            for event in box.account.arrive(metric, count, **options)
        ]
    }


def _faults(box: "Sandbox", options: dict[str, Any]) -> Any:
    """First `clear` all if asked to, then wait with each of `add`."""
    if options.get("clear"):
        box.faults.clear()
    added = options.get("add", [])
    for fault in added:
        box.faults.add(**fault)
    return {"added": len(added)}


def _requests(box: "Sandbox", _: dict[str, Any]) -> Any:
    """The log."""
    return {"requests": [asdict(seen) for seen in box.requests]}


def _truth(box: "Sandbox", _: dict[str, Any]) -> Any:
    """What the account holds, by id."""
    account = box.account
    return {
        "metrics": account.metrics(),
        "events": {
            metric["id"]: account.event_ids_of(metric["id"]) for metric in account.metrics()
        },
        "campaigns": account.campaign_ids(),
        "lists": account.list_ids(),
        "profiles": account.ids("profile"),
        "suppressed_profiles": account.suppressed_profiles(),
        "ids": {kind: account.ids(kind) for kind in account.collections},
        "members": {
            id: account.members(id) for kind in ("list", "segment") for id in account.ids(kind)
        },
    }


_COMMANDS: Mapping[tuple[str, str], _Command] = {
    ("POST", "/sandbox/arrive"): _arrive,
    ("POST", "/sandbox/faults"): _faults,
    ("GET", "/sandbox/requests"): _requests,
    ("GET", "/sandbox/truth"): _truth,
}
