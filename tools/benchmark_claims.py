"""Generate the README's claim of speed from the last results of the benchmarks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_CLAIM = """\
- **Fast.** To read 200,000 events, singer-io's tap-klaviyo takes {backfill:.0f} times as long and \
{cpu:.0f} times the CPU.
  A flash sale takes {sale:.1f} times the least possible time \
([benchmarks](benchmarks/RESULTS.md), [method](docs/performance.md))."""

_FIGURES = {
    "backfill": ("backfill", "wall time per event of singer-io's tap, relative to the tap"),
    "cpu": ("cpu", "CPU per event of singer-io's tap, relative to the tap"),
    "sale": ("sale", "wall time, relative to the least possible"),
}
"""The scenario and the label of each figure."""


def claim(results: str) -> str:
    """Return the line of the README, given the JSON that `make bench` writes."""
    scenarios: Mapping[str, Any] = json.loads(results)["scenarios"]
    medians = {
        name: scenarios[scenario][label]["median"] for name, (scenario, label) in _FIGURES.items()
    }
    return _CLAIM.format(**medians)
