"""Singer tap for Klaviyo: a command, ``tap-klaviyo``, and a library.

The names of the library are loaded when they are first used, so that the command starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tap_klaviyo.errors import CatalogError, ConfigError, StateError, StreamError, TapError
    from tap_klaviyo.sync.summary import RunSummary
    from tap_klaviyo.tap import Tap

__version__ = "1.6.0"

__all__ = [
    "CatalogError",
    "ConfigError",
    "RunSummary",
    "StateError",
    "StreamError",
    "Tap",
    "TapError",
    "__version__",
]

_MODULES = {"Tap": "tap_klaviyo.tap", "RunSummary": "tap_klaviyo.sync.summary"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "tap_klaviyo.errors")), name)
