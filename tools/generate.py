"""Write the generated files: catalog.json, docs/streams*.md, docs/coverage.md,
meltano/tap-klaviyo.yml, pictures, and parts of other files.

    python -m tools.generate            write the files that are out of date
    python -m tools.generate --check    list them and exit with 1, without writing

Generated parts of README.md, docs/settings.md and docs/meltano.md are between a comment with their
name and `<!-- end -->`. In meltano.yml the tap's lists `settings` and `select` are generated.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tap_klaviyo.about.metadata import tap_metadata
from tap_klaviyo.discovery.catalog import build_catalog, catalog_text
from tap_klaviyo.streams import DEFAULT, REGISTRIES
from tools import coverage, import_diagram, meltano_plugin
from tools.benchmark_claims import claim
from tools.setting_docs import settings_table
from tools.stream_docs import default_streams_table, document, revision_document

ROOT = Path(__file__).resolve().parent.parent


def generated() -> dict[Path, str]:
    """Return the text that each generated file should have."""
    metadata = tap_metadata()
    readme, settings, meltano, page = (
        ROOT / name for name in ("README.md", "docs/settings.md", "meltano.yml", "docs/meltano.md")
    )
    streams = default_streams_table(metadata["streams"], "docs/streams.md")
    speed = claim((ROOT / "benchmarks" / "results.json").read_text())
    return {
        ROOT / "catalog.json": catalog_text(build_catalog()) + "\n",
        ROOT / "docs" / "streams.md": document(metadata),
        **{
            ROOT / "docs" / f"streams-{revision}.md": revision_document(
                revision, tap_metadata(registry), metadata
            )
            for revision, registry in REGISTRIES.items()
            if registry != DEFAULT
        },
        ROOT / "docs" / "coverage.md": coverage.document(coverage.operations_file(ROOT)),
        readme: replace_lines(
            replace_table(readme.read_text(), "streams", streams), "speed", speed
        ),
        settings: replace_table(
            settings.read_text(), "settings", settings_table(metadata["settings"])
        ),
        meltano: meltano_plugin.replace_lists(meltano.read_text(), metadata),
        ROOT / "meltano" / "tap-klaviyo.yml": meltano_plugin.definition(metadata),
        page: replace_table(page.read_text(), "select", meltano_plugin.select_command(metadata)),
        **import_diagram.generated(),
    }


def replace_table(text: str, name: str, table: str) -> str:
    """Return `text` with a new `table` between the comments with this name."""
    pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda match: f"{match[1]}\n{table}\n\n{match[2]}", text, flags=re.S)


def replace_lines(text: str, name: str, lines: str) -> str:
    """Return `text` with new `lines` of a list between the comments with this name."""
    pattern = rf"(<!-- {name}: [^>]*-->\n).*?( *<!-- end -->)"
    return re.sub(pattern, lambda match: f"{match[1]}{lines}\n{match[2]}", text, flags=re.S)


def main() -> int:
    """Write or check the files, and return the exit code."""
    stale = {path: text for path, text in generated().items() if not _has_text(path, text)}
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date; run make generate.")
        return int(bool(stale))
    for path, text in stale.items():
        path.write_text(text)
    return 0


def _has_text(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
