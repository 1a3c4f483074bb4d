"""Runs Airbyte's source-klaviyo against the address in KLAVIYO_URL, in its own environment.

The arguments are those of the source. Dates are sent with a `Z`, because the sandbox does not
accept offsets without a colon.
"""

import os
from importlib import import_module
from typing import Any

source: Any = import_module("source_klaviyo.source").YamlDeclarativeSource
parse = source._parse


def parse_with_address(manifest: str) -> Any:
    """Parses the source's manifest with the other address."""
    moved = manifest.replace("https://a.klaviyo.com", os.environ["KLAVIYO_URL"])
    return parse(moved.replace('\n      datetime_format: "%Y-%m-%dT%H:%M:%S%z"', DATES))


DATES = '\n      datetime_format: "%Y-%m-%dT%H:%M:%SZ"'
source._parse = staticmethod(parse_with_address)
import_module("source_klaviyo.run").run()
