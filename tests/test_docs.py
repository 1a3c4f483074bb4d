"""The documents say what the code does."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tap_klaviyo import cli
from tap_klaviyo.about.metadata import facts
from tap_klaviyo.config.loading import parse, read_object
from tap_klaviyo.config.settings import SETTINGS
from tap_klaviyo.streams import STREAMS
from tap_klaviyo.streams.model import Stream
from tools.stream_docs import slug

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def _texts() -> list[str]:
    """Every text in the program; a value put into one stands as "%s"."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tap_klaviyo").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    formatted = [
        "".join(str(part.value) if isinstance(part, ast.Constant) else "%s" for part in node.values)
        for node in nodes
        if isinstance(node, ast.JoinedStr)
    ]
    constants = (node.value for node in nodes if isinstance(node, ast.Constant))
    return [*formatted, *(value for value in constants if isinstance(value, str))]


TEXTS = _texts()


def test_generated_files_are_up_to_date() -> None:
    """catalog.json, docs/streams.md and the README's tables are what make generate writes."""
    command = [sys.executable, "-m", "tools.generate", "--check"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_every_stream_has_its_row(stream: Stream) -> None:
    """The README has a row for each default stream, and a link to what is said of any other."""
    name = stream.name
    link = f"[`{name}`](docs/streams.md#{name})"
    assert (f"| `{name}` |" if stream.selected_by_default else link) in README


@pytest.mark.parametrize("setting", [setting.name for setting in SETTINGS])
def test_every_setting_has_its_row(setting: str) -> None:
    """Each setting stands in the README and among Meltano's settings."""
    assert f"| `{setting}` |" in README
    assert f"    - name: {setting}\n" in (ROOT / "meltano.yml").read_text()


def test_every_option_of_the_command_is_told() -> None:
    """Each long option stands in the help or in the README."""
    for option in set(re.findall(r"--[a-z]+", cli._parser().format_help())):
        assert option in README, option


TROUBLES = re.findall(r"^\| ((?:`.+?`(?: or )?)+) \|", README.split("## Troubleshooting")[1], re.M)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_troubles_are_told_in_the_words_of_the_program(trouble: str) -> None:
    """What the README quotes is what the program says."""
    for quoted in re.findall(r"`(.+?)`", trouble):
        for part in re.split(r"\.\.\.|\(\d+\)|\(n times\)", quoted):
            words = part.strip(" '.,:")
            assert any(words in text for text in TEXTS), words


def test_links_lead_to_files() -> None:
    """Each relative link in the documents leads somewhere."""
    for document in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert target.startswith("http") or (document.parent / target).exists(), target


def _anchors(document: Path) -> set[str]:
    """What can be linked to in a document: its headings, and anchors of their own."""
    text = document.read_text()
    headings = [slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)]
    assert len(headings) == len({*headings}), document
    return {*headings, *re.findall(r'<a id="(.+?)">', text)}


def test_links_lead_to_places() -> None:
    """Each link to a place in a document, in the same or another one, leads somewhere."""
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for file, place in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text()):
            assert place in _anchors((document.parent / file) if file else document), place


def test_about_knows_what_the_sample_config_uses() -> None:
    """The sample configuration has only settings that exist."""
    sample = read_object(str(ROOT / "sample_config.json"), "config")
    assert sample.keys() <= {setting["name"] for setting in facts()["settings"]}
    parse(sample)


def test_the_reports_of_the_readme_are_good_settings() -> None:
    """The example of reports is taken as it stands."""
    blocks = re.findall(r"```json\n(.*?)```", README, flags=re.S)
    (example,) = (json.loads(block) for block in blocks if '"reports"' in block)
    required = {"api_key": "pk_0", "start_date": "2026-01-01"}
    assert parse({**required, **example}).reports.keys() == example["reports"].keys()


def test_meltano_selects_what_is_selected_by_default() -> None:
    """Meltano, which would select every stream, is told which ones the tap selects by itself."""
    text = (ROOT / "meltano.yml").read_text()
    chosen = re.findall(r"^    - (\w+)\.\*$", text, flags=re.M)
    assert chosen == [stream.name for stream in STREAMS if stream.selected_by_default]
    left_out = re.findall(r"^    - '!(\w+)\.(\w+)'$", text, flags=re.M)
    assert left_out == [
        (stream.name, name)
        for stream in STREAMS
        if stream.selected_by_default
        for name in stream.fields_not_by_default
    ]
