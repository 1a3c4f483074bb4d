"""The documentation agrees with the code."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tap_klaviyo import arguments
from tap_klaviyo.about.metadata import tap_metadata
from tap_klaviyo.config.loading import parse_config, read_object
from tap_klaviyo.config.settings import SETTINGS
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.klaviyo.failures import POLICY
from tap_klaviyo.klaviyo.oauth import OAuthApp
from tap_klaviyo.streams import REGISTRIES, STREAMS
from tools.stream_docs import slug

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]
DEFAULT_STREAMS = [stream for stream in STREAMS if stream.selected_by_default]
REQUIRED = {"api_key": "pk_0", "start_date": "2026-01-01"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def _program_texts() -> list[str]:
    """Return every text in the program. Values that are put into a text are replaced by "%s"."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tap_klaviyo").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    formatted = [
        "".join(str(part.value) if isinstance(part, ast.Constant) else "%s" for part in node.values)
        for node in nodes
        if isinstance(node, ast.JoinedStr)
    ]
    constants = (node.value for node in nodes if isinstance(node, ast.Constant))
    return [*formatted, *(value for value in constants if isinstance(value, str))]


TEXTS = _program_texts()


def _blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.S | re.M)


def test_generated_files_are_up_to_date() -> None:
    """`make generate` would not change any file."""
    command = [sys.executable, "-m", "tools.generate", "--check"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout


def test_readme_is_short() -> None:
    """The README has at most 200 lines."""
    assert len(README.splitlines()) <= 200


def test_readme_names_the_default_streams() -> None:
    """The README names each stream that is selected by default."""
    section = README.split("\n## Streams\n")[1].split("\n## ")[0]
    assert [s.name for s in DEFAULT_STREAMS if f"`{s.name}`" not in section] == []


def test_readme_counts_the_streams() -> None:
    """The numbers of streams in the README are right."""
    (*_, newest) = REGISTRIES.values()
    numbers = f"{len(STREAMS)} streams, and {len(newest.streams)} with [revision {newest.revision}]"
    assert numbers in README
    assert f"the {len(DEFAULT_STREAMS)} streams that are selected by default" in README
    assert f"{len(STREAMS) - len(DEFAULT_STREAMS)} more" in README


def test_readme_lists_the_scopes_of_the_default_streams() -> None:
    """The scopes that the README asks for are those of the default streams."""
    scopes = {
        scope
        for stream in tap_metadata()["streams"]
        if stream["selected_by_default"]
        for scope in stream["scopes"]
    }
    assert {*re.findall(r"`(\w+:read)`", README)} == scopes


@pytest.mark.parametrize(
    ("source", "figures"),
    [
        ("benchmarks/RESULTS.md", ("200,000",)),
        ("docs/reliability.md", ("14,970", "1,080", "474,998")),
    ],
)
def test_readme_figures_have_a_source(source: str, figures: tuple[str, ...]) -> None:
    """Each measured figure of the README is in the document that it is taken from."""
    for figure in figures:
        pattern = rf"(?<![\d,.]){figure}(?![\d,.]*\d)"
        assert re.search(pattern, README), figure
        assert re.search(pattern, (ROOT / source).read_text()), figure


def test_readme_describes_every_option() -> None:
    """The README names each long option of the command."""
    for option in set(re.findall(r"--[a-z]+", arguments.parser().format_help())):
        assert option in README, option


@pytest.mark.parametrize("setting", [setting.name for setting in SETTINGS])
def test_every_setting_is_documented(setting: str) -> None:
    """Each setting has a row in docs/settings.md and is a setting in meltano.yml."""
    assert f"| `{setting}` |" in (DOCS / "settings.md").read_text()
    assert f"    - name: {setting}\n" in (ROOT / "meltano.yml").read_text()


TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text()
QUOTED_MESSAGES = re.findall(r"^\| `(.+?)` \|", TROUBLESHOOTING, re.M)


def _pattern(quoted: str) -> str:
    """Return a regular expression for a quoted message, in which "..." stands for any text."""
    return ".*".join(map(re.escape, re.split(r"\.\.\.(?!\.)", quoted)))


@pytest.mark.parametrize("quoted", QUOTED_MESSAGES)
def test_troubleshooting_quotes_messages_of_the_program(quoted: str) -> None:
    """Each message in docs/troubleshooting.md is a message of the program."""
    assert any(re.search(_pattern(quoted), text) for text in TEXTS)


@pytest.mark.parametrize("failure", POLICY)
def test_troubleshooting_covers_every_failed_request(failure: str) -> None:
    """docs/troubleshooting.md has a row for each failure in the policy."""
    message = POLICY[failure].message
    assert any(re.search(_pattern(quoted), message) for quoted in QUOTED_MESSAGES), message


@each_page
def test_links_lead_to_files(page: Path) -> None:
    """The file of each relative link exists."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page: those of its headings and explicit ones."""
    text = page.read_text()
    headings = [slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)]
    return {*headings, *re.findall(r'<a id="(.+?)">', text)}


@each_page
def test_links_lead_to_anchors(page: Path) -> None:
    """The anchor of each link within the documentation exists."""
    for file, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        assert anchor in _anchors((page.parent / file) if file else page), anchor


def test_every_page_is_linked_from_the_readme() -> None:
    """The README links to each page in docs/."""
    for page in DOCS.glob("*.md"):
        assert f"](docs/{page.name})" in README, page.name


def test_sample_config_is_valid() -> None:
    """sample_config.json has only settings that exist, with valid values."""
    sample = read_object(str(ROOT / "sample_config.json"), "config", ConfigError)
    assert sample.keys() <= {setting["name"] for setting in tap_metadata()["settings"]}
    parse_config(sample)


def test_readme_config_is_valid() -> None:
    """The config.json in the README is valid."""
    (example,) = _blocks(README, "json")
    parse_config(json.loads(example))


def test_oauth_example_is_valid() -> None:
    """The example in docs/oauth.md is a valid config."""
    (example,) = _blocks((DOCS / "oauth.md").read_text(), "json")
    assert isinstance(parse_config(json.loads(example)).credentials, OAuthApp)


def test_reports_example_is_valid() -> None:
    """The example in docs/reports.md is a valid setting."""
    (example,) = map(json.loads, _blocks((DOCS / "reports.md").read_text(), "json"))
    assert parse_config({**REQUIRED, **example}).reports.keys() == example["reports"].keys()


def test_metric_streams_example_is_valid() -> None:
    """The example in docs/events.md is a valid setting."""
    (example,) = map(json.loads, _blocks((DOCS / "events.md").read_text(), "json"))
    streams = parse_config({**REQUIRED, **example}).metric_streams
    assert [stream.name for stream in streams] == [*example["metric_streams"]]


def test_meltano_selects_the_default_streams() -> None:
    """meltano.yml selects what the tap selects by default; Meltano would select everything."""
    text = (ROOT / "meltano.yml").read_text()
    selected = re.findall(r"^    - (\w+)\.\*$", text, flags=re.M)
    assert selected == [stream.name for stream in DEFAULT_STREAMS]
    deselected = re.findall(r"^    - '!(\w+)\.(\w+)'$", text, flags=re.M)
    assert deselected == [
        (stream.name, name) for stream in DEFAULT_STREAMS for name in stream.fields_not_by_default
    ]
