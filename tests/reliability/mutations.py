"""Random mutations of JSON documents and bytes."""

from __future__ import annotations

import copy
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


@st.composite
def mutated_document(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three values replaced, removed, duplicated or added."""
    changed = {"": copy.deepcopy(document)}
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = changed
        key: Any = ""
        while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 4)):
            holder = holder[key]
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = draw(st.sampled_from(keys))
        _edit(draw, holder, key)
        changed.setdefault("", None)
    return changed[""]


def _edit(draw: st.DrawFn, holder: Any, key: Any) -> None:
    mutation = draw(st.sampled_from(["replace", "replace", "remove", "duplicate", "add"]))
    if mutation == "remove":
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
