"""The settings ``hash_fields`` and ``hash_salt``: which values are hashed, and the key for that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tap_klaviyo.config.parsers import ValueRefused, text
from tap_klaviyo.discovery.hash_patterns import HashPattern, pattern_errors
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.streams import registry_of

_SHORTEST_SALT = 8
"""Characters of a salt. A short one could be guessed, and could not be hidden in messages."""


def hash_patterns(value: Any) -> tuple[HashPattern, ...]:
    """Patterns from an array, from its JSON text, or from a text with commas between them."""
    if isinstance(value, str):
        is_json = value.lstrip().startswith("[")
        value = json.loads(value) if is_json else [one for one in value.split(",") if one.strip()]
    if not isinstance(value, list):
        raise ValueError(value)
    return tuple(HashPattern(one) for one in dict.fromkeys(map(text, value)))


def hash_salt(value: Any) -> Secret:
    """The key of the hashes. Blanks around it are not part of it."""
    parsed = text(value)
    if len(parsed) < _SHORTEST_SALT:
        raise ValueRefused(f"it has fewer than {_SHORTEST_SALT} characters")
    return Secret(parsed)


def hashing_errors(values: Mapping[str, Any], source_of: Callable[[str], str]) -> list[str]:
    """What is wrong with parsed settings: a missing salt, or patterns that cannot be hashed.

    Settings that could not be parsed are missing in ``values``. ``source_of`` says where one comes
    from.
    """
    patterns = values.get("hash_fields", ())
    errors = []
    if patterns and values.get("hash_salt", "unknown") is None:
        errors.append("hash_salt: missing; hash_fields needs it")
    if {"metric_streams", "revision"} <= values.keys():
        streams = (*registry_of(values["revision"]).streams, *values["metric_streams"])
        if wrong := pattern_errors(patterns, streams):
            source = source_of("hash_fields")
            errors.append(f"hash_fields{source}: expected patterns of text; {'; '.join(wrong)}")
    return errors
