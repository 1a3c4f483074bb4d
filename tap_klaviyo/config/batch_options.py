"""The setting ``batch_config``, in the form that Meltano's Singer SDK has made usual."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tap_klaviyo.batches import EXTENSIONS, BatchOptions
from tap_klaviyo.config import parsers
from tap_klaviyo.config.parsers import ValueRefused

_DEFAULTS = BatchOptions("")
_LARGEST_BATCH = 10_000_000
_KEYS = ("encoding", "storage", "batch_size")


def batch_config(value: Any) -> BatchOptions | None:
    """How records are written to files; None if they are not, for an empty object."""
    if value in ({}, "{}"):
        return None
    given = parsers.known_options(parsers.json_object(value), _KEYS)
    encoding = parsers.known_options(given.get("encoding", {}), ("format", "compression"))
    storage = parsers.known_options(given.get("storage", {}), ("root", "prefix"))
    if encoding.get("format", "jsonl") != "jsonl":
        raise ValueRefused("encoding.format: only jsonl is written")
    compression = encoding.get("compression", _DEFAULTS.compression)
    if compression not in EXTENSIONS:
        raise ValueRefused(f"encoding.compression: expected one of {', '.join(EXTENSIONS)}")
    if "root" not in storage:
        raise ValueRefused("storage.root is missing")
    prefix = storage.get("prefix", "")
    if not isinstance(prefix, str) or "/" in prefix or not (prefix + "a").isprintable():
        raise ValueRefused("storage.prefix: expected text without a slash")
    size = parsers.integer(1, _LARGEST_BATCH)
    expected = f"a whole number from 1 to {_LARGEST_BATCH}"
    batch_size = parsers.option("batch_size", given.get("batch_size", 20_000), size, expected)
    root = parsers.option("storage.root", storage["root"], _root, "a URL such as file:///data")
    return BatchOptions(root, prefix, compression, batch_size)


def _root(value: Any) -> str:
    url = parsers.text(value).rstrip("/")
    parts = urlsplit(url)
    if not parts.scheme or (parts.scheme != "file" and not parts.netloc):
        raise ValueError(value)
    if parts.scheme == "file" and (parts.netloc not in ("", "localhost") or not parts.path):
        raise ValueError(value)
    return url
