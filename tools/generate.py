"""Writes the generated files anew: catalog.json, docs/streams.md and the tables of the README.

``python -m tools.generate --check`` writes nothing and exits with 1 if something would change.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tap_klaviyo.about.metadata import facts
from tap_klaviyo.about.render import settings_table, streams_table
from tap_klaviyo.discovery.catalog import catalog_text
from tools.stream_docs import document, further_table

ROOT = Path(__file__).resolve().parent.parent


def generated() -> dict[Path, str]:
    """Every generated file with the text it should have."""
    known = facts()
    readme = (ROOT / "README.md").read_text()
    default = [stream for stream in known["streams"] if stream["selected_by_default"]]
    readme = _between(readme, "streams", streams_table(default))
    readme = _between(readme, "further streams", further_table(known, "docs/streams.md"))
    readme = _between(readme, "settings", settings_table(known["settings"]))
    return {
        ROOT / "catalog.json": catalog_text() + "\n",
        ROOT / "docs" / "streams.md": document(known),
        ROOT / "README.md": readme,
    }


def _between(text: str, name: str, table: str) -> str:
    pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda match: f"{match[1]}\n{table}\n\n{match[2]}", text, flags=re.S)


def main() -> int:
    """Writes or checks, and returns the exit code."""
    stale = [path for path, text in generated().items() if not _holds(path, text)]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date; run make generate.")
        return bool(stale)
    for path in stale:
        path.write_text(generated()[path])
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
