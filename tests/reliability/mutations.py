"""Random mutations of JSON documents and bytes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = (
    "", "\0", "a\nb", "\ud83d", "\u2028", "x" * 5_000, "1e999", "-1", "nan", "P1Y", "P99999999D",
    "2026-02-30", "0001-01-01", "9999-12-31T23:59:59Z", "2026-11-01 12:00", "12:00", "../..",
    "https://elsewhere.example/api/lists", "FULL_TABLE", "INCREMENTAL", "open", "lists",
)  # fmt: skip
ODD_NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, 5e-324, -0.0)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10**10),
    st.sampled_from(ODD_NUMBERS),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(ODD_TEXTS),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(ODD_TEXTS), inner, max_size=3)
    ),
    max_leaves=6,
)


_DEEPER = st.sampled_from([True] * 9 + [False])
"""Whether to mutate a value of an object or an array, and not all of it."""


@st.composite
def mutated_document(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three values replaced, removed, duplicated or added."""
    changed = {"": copy.deepcopy(document)}
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = changed
        key: Any = ""
        while isinstance(holder[key], dict | list) and holder[key] and draw(_DEEPER):
            holder = holder[key]
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = draw(st.sampled_from(keys))
        _edit(draw, holder, key)
        changed.setdefault("", None)
    return changed[""]


DISGUISES: tuple[Callable[[Any], Any], ...] = (
    str,
    json.dumps,
    bool,
    lambda value: not value,
    lambda value: [value],
    lambda value: {"value": value},
    lambda value: value.upper() if isinstance(value, str) else value,
    lambda value: f" {value} ",
    lambda value: None,
)
"""Makes another value of one, of which a careless reader may think that it is the same."""


def _edit(draw: st.DrawFn, holder: Any, key: Any) -> None:
    mutation = draw(
        st.sampled_from(["replace", "replace", "disguise", "remove", "duplicate", "add"])
    )
    if mutation == "disguise":
        holder[key] = draw(st.sampled_from(DISGUISES))(holder[key])
    elif mutation == "remove":
        del holder[key]
    elif mutation == "duplicate" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif mutation == "add" and isinstance(holder[key], dict):
        holder[key][draw(st.sampled_from(ODD_TEXTS))] = draw(JSON)
    else:
        holder[key] = draw(JSON)


@st.composite
def mutated_bytes(draw: st.DrawFn, raw: bytes) -> bytes:
    """The bytes with a part replaced."""
    start = draw(st.integers(0, len(raw)))
    end = draw(st.integers(start, min(len(raw), start + 20)))
    piece = draw(
        st.binary(max_size=4)
        | st.sampled_from(
            [b"\\ud83d", b"\\u0000", b"\n", b"\xff", b"\xed\xa0\xbd", b"1" * 5_000, b"[" * 5_000]
        )
    )
    return raw[:start] + piece + raw[end:]


SECONDS = st.one_of(
    st.integers(-(10**11), 10**13),
    st.sampled_from([0, -1, 1_793_534_400, 253_402_300_799, 253_402_300_800, -62_135_596_800]),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
)
"""Points in time as a state may hold them, most of them extreme."""

_METRICS = st.lists(st.sampled_from(["M1", "M2", ""]), max_size=3)
_BOOKMARK_KEYS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("timestamp", "start_date", "swept_at", "since"), SECONDS),
    **dict.fromkeys(("updated", "datetime", "joined_group_at"), SECONDS),
    **dict.fromkeys(("full_table_read_at", "updated_read_at"), SECONDS),
    "full_table_of": st.sampled_from(["", "0a1b2c3d4e5f"]),
    "parents": st.lists(st.sampled_from(["M1", ""]), max_size=2),
    "metrics": _METRICS,
    "joining": st.dictionaries(st.sampled_from(["M1", "M2"]), st.none() | SECONDS, max_size=2),
    "definition": st.lists(st.sampled_from(["Placed Order", "Shopify"]), max_size=2),
    "replication_key": st.sampled_from(["datetime", "timestamp", "updated", "id"]),
    **dict.fromkeys(("replication_key_value", "starting_replication_value"), SECONDS),
    "progress_markers": st.fixed_dictionaries({"replication_key_value": SECONDS}),
    "partitions": st.lists(
        st.fixed_dictionaries({"context": st.just({}), "replication_key_value": SECONDS}),
        max_size=2,
    ),
}
BOOKMARKS = st.none() | st.fixed_dictionaries(
    {}, optional={key: st.none() | values | JSON for key, values in _BOOKMARK_KEYS.items()}
)
"""Bookmarks of this tap, of singer-io's and of Meltano's SDK, and mixtures of them."""


def states(*streams: str) -> st.SearchStrategy[dict[str, Any]]:
    """States with bookmarks of these streams, of similar names and of others."""
    names = [*streams, *(name + name[-1] for name in streams), "M1", "WQofuW", "a\nb", ""]
    return st.fixed_dictionaries(
        {"bookmarks": st.dictionaries(st.sampled_from(names), BOOKMARKS, max_size=4)},
        optional={"currently_syncing": JSON},
    )


METHODS = st.none() | st.sampled_from(["INCREMENTAL", "FULL_TABLE", "LOG_BASED"]) | SCALARS
"""Replication methods as a catalog may choose them."""
