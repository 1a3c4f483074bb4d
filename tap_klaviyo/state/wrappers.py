"""What stands around bookmarks: messages, files of Meltano, and the account of a state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tap_klaviyo.errors import StateError
from tap_klaviyo.state.bookmarks import from_flat

WRAPPERS = ("value", "singer_state", "state")
"""Keys that hold a whole state: ``value`` of a STATE message, ``singer_state`` of Meltano."""

MELTANO_PARTS = ("completed", "partial")
"""What Meltano's state backends store: the state of the last complete run, and what a run that did
not end has added. Source: meltano/core/state_store/base.py."""

ACCOUNT = "account_id"
"""The key beside ``bookmarks`` that says which account a state is of."""


def account_in(document: Mapping[str, Any]) -> str | None:
    """The ID of the account that a state is of; None if it does not say.

    Raises :class:`StateError` for what is no text.
    """
    account_id = document.get(ACCOUNT)
    if account_id is not None and not isinstance(account_id, str):
        raise StateError(f"state: '{ACCOUNT}' must be text.")
    return account_id or None


def unwrapped(document: Mapping[str, Any]) -> dict[str, Any]:
    """The state in ``document``, which has ``bookmarks``.

    Raises :class:`StateError` for what is neither a state nor has one in it.
    """
    document = _without_wrappers(document)
    parts = [document[key] for key in MELTANO_PARTS if isinstance(document.get(key), Mapping)]
    if parts and "bookmarks" not in document:
        return _merged([_with_bookmarks(_without_wrappers(part)) for part in parts])
    return _with_bookmarks(document)


def _without_wrappers(document: Mapping[str, Any]) -> Mapping[str, Any]:
    while "bookmarks" not in document:
        inner = [document[key] for key in WRAPPERS if isinstance(document.get(key), Mapping)]
        if not inner:
            break
        document = inner[0]
    return document


def _with_bookmarks(document: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(document) if "bookmarks" in document else from_flat(document)
    found["bookmarks"] = {} if found["bookmarks"] is None else found["bookmarks"]
    if not isinstance(found["bookmarks"], dict):
        raise StateError("state: 'bookmarks' must be an object.")
    return found


def _merged(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """One state of several; of several bookmarks of a stream, the last."""
    merged: dict[str, Any] = {"bookmarks": {}}
    for document in documents:
        bookmarks = {**merged["bookmarks"], **document["bookmarks"]}
        merged = {**merged, **document, "bookmarks": bookmarks}
    return merged
