"""Builds rows of the registry from what differs between streams."""

from __future__ import annotations

from typing import Any

from tap_klaviyo.streams.model import PARENT, Relationship, Stream


def listed(
    name: str, schema: str, description: str, tier: str, size: int | None, scope: str, **more: Any
) -> Stream:
    """A row for a list. ``name`` and ``schema`` give the path and the type unless ``more`` does."""
    given = {"path": f"/api/{name.replace('_', '-')}", "type": schema.replace("_", "-")}
    row = {**given, "scopes": (scope,), "tier": tier, "page_size": size, **more}
    return Stream(name, schema, description, selected_by_default=False, **row)


def children(
    name: str, schema: str, description: str, tier: str, size: int | None, scope: str, **more: Any
) -> Stream:
    """A row for the lists below the records of another stream, which ``parent`` names."""
    above = more["parent"].stream.replace("_", "-")
    path = f"/api/{above}/{PARENT}/{name.replace('_', '-')}"
    return listed(name, schema, description, tier, size, scope, **{"path": path, **more})


def by_id(name: str, schema: str, description: str, tier: str, scope: str, **more: Any) -> Stream:
    """A row for resources that are requested one by one, by the IDs of the records of ``parent``.

    The ID of such a record is that of its resource too. ``parent.property`` holds it, and is the
    key.
    """
    key = more["parent"].property
    path = f"/api/{name.replace('_', '-')}/{PARENT}"
    given = {"path": path, "keys": (key,), "id_property": key, "single": True}
    return listed(name, schema, description, tier, None, scope, **{**given, **more})


def id_of(
    property: str, relationship: str, type: str = "", scope: str = "", **more: Any
) -> Relationship:
    """The ID of a related resource and nothing else of it."""
    return Relationship("", relationship, type or relationship, scope, property, **more)


TAGS = Relationship("tags", "tags", "tag", "tags:read")
