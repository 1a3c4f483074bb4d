"""A Meltano project of a user: the plugin definitions, settings, patterns, environments, states."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from external_programs import CHECKOUT, REQUIREMENTS, TAP, run
from sandbox_account import SandboxAccount, serve_account

from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.config.settings import SETTINGS

PAGE = (CHECKOUT / "docs" / "meltano.md").read_text()
PLUGINS = {"tap-klaviyo": "extractors", "target-jsonl": "loaders"}

WRITTEN: dict[str, Any] = {
    "client_id": "app-1",
    "client_secret": "secret-1",
    "refresh_token": "refresh-1",
    "oauth_token_file": "/var/lib/tap-klaviyo/tokens.json",
    "start_date": "2026-01-31",
    "end_date": "2026-03-01T12:00:00Z",
    "lookback_window": "PT2H",
    "sweep_window": "P9D",
    "sweep_interval": "43200",
    "recount_interval": "P2D",
    "recount_budget": 100,
    "page_size": 500,
    "concurrency": 8,
    "quota_share": 0.5,
    "request_timeout": 30.5,
    "max_retry_wait": "PT1M",
    "activate_version": False,
    "full_table_interval": {"templates": "P1D", "lists": "21600"},
    "batch_config": {"storage": {"root": "file:///data/batches"}, "batch_size": 5000},
    "metric_streams": {
        "orders": {"metric": "Placed Order", "integration": "Shopify"},
        "viewed": "Viewed Product",
    },
    "reports": {
        "monthly": {
            "stream": "campaign_values_report",
            "conversion_metric": "Placed Order",
            "statistics": ["opens", "conversions"],
            "window": "P30D",
        }
    },
    "account_column": True,
    "account_id": "AbC123",
    "hash_fields": ["*.email", "receive.profile.phone_number"],
    "hash_salt": "salt-1 of ours",
    "log_format": "json",
    "user_agent": "tap-klaviyo (data@example.com)",
    "revision": "2026-07-15",
    "base_url": "https://proxy.example.com",
}
"""A value of each setting but api_key, which OAuth excludes. They are not the defaults, but for
activate_version, which batch_config excludes."""

SHOW_SETTINGS = f"""#!{sys.executable}
import os, sys
from pathlib import Path
from tap_klaviyo.config.loading import from_environment, parse_config, read_object
from tap_klaviyo.config.nested import nest_settings
from tap_klaviyo.errors import ConfigError
if "--config" in sys.argv:
    settings = read_object(sys.argv[sys.argv.index("--config") + 1], "config", ConfigError)
    settings = {{**nest_settings(settings), **from_environment(os.environ)}}
    config = parse_config(settings)
    secrets = (config.api_key, config.client_secret, config.refresh_token, config.hash_salt)
    shown = [secret.reveal() for secret in secrets if secret]
    Path("settings.txt").write_text(f"{{config!r}} {{shown}}")
os.execv({str(TAP)!r}, [{str(TAP)!r}, *sys.argv[1:]])
"""
"""A command in place of the tap: writes the settings to settings.txt, then becomes the tap."""

Meltano = Callable[..., str]


def _shown(settings: Mapping[str, Any]) -> str:
    """Returns what the command in place of the tap writes for settings."""
    config = parse_config(settings)
    secrets = (config.api_key, config.client_secret, config.refresh_token, config.hash_salt)
    return f"{config!r} {[secret.reveal() for secret in secrets if secret]}"


def _flat(value: Any, path: str) -> dict[str, str]:
    """Returns text by dotted path, as for the arguments of `meltano config set`."""
    if isinstance(value, dict):
        return {
            dotted: text
            for name, child in value.items()
            for dotted, text in _flat(child, f"{path}.{name}").items()
        }
    return {path: value if isinstance(value, str) else json.dumps(value)}


@pytest.fixture(scope="module")
def added(
    environment: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The files of a project, after `meltano add --from-ref`, which installed nothing."""
    folder = tmp_path_factory.mktemp("added")
    meltano = environment("meltano") / "meltano"
    settings = {"MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false", "MELTANO_HUB_URL": "http://[::1]:9"}
    run(meltano, "init", "project", cwd=folder, environment=settings)
    for name in PLUGINS:
        definition = CHECKOUT / "meltano" / f"{name}.yml"
        run(
            *(meltano, "add", "--no-install", "--from-ref", definition, name),
            cwd=folder / "project",
            environment=settings,
        )
    return {"meltano.yml": (folder / "project" / "meltano.yml").read_text()}


@pytest.fixture
def project(added: dict[str, str], environment: Callable[[str], Path], tmp_path: Path) -> Path:
    """A project with the plugins; their commands are those that are installed already."""
    commands = {
        "tap-klaviyo": tmp_path / "show-settings",
        "target-jsonl": environment("target-jsonl") / "target-jsonl",
    }
    commands["tap-klaviyo"].write_text(SHOW_SETTINGS)
    commands["tap-klaviyo"].chmod(0o755)
    text = re.sub(r" +pip_url: .*\n", "", added["meltano.yml"])
    for name, command in commands.items():
        text = text.replace(f"executable: {name}\n", f"executable: {command}\n")
    (tmp_path / "meltano.yml").write_text(text)
    (tmp_path / "output").mkdir()
    return tmp_path


@pytest.fixture
def meltano(project: Path, environment: Callable[[str], Path]) -> Meltano:
    """Runs Meltano in the project and returns its stdout."""
    command = environment("meltano") / "meltano"

    def call(*arguments: str, **variables: str) -> str:
        offline = {
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_HUB_URL": "http://[::1]:9",
            "NO_COLOR": "1",
        }
        return run(command, *arguments, cwd=project, environment={**offline, **variables}).stdout

    return call


def _edit(project: Path, marker: str, block: str) -> None:
    """Puts lines of YAML after a line of meltano.yml."""
    path = project / "meltano.yml"
    head, found, rest = path.read_text().partition(marker)
    assert found
    path.write_text(f"{head}{found}{block}{rest}")


def _ids(project: Path, stream: str) -> list[str]:
    lines = (project / "output" / f"{stream}.jsonl").read_text().splitlines()
    return sorted(json.loads(line)["id"] for line in lines)


def test_definition(added: dict[str, str]) -> None:
    """The added plugin has all settings, and its package is a folder, never one of PyPI."""
    text = added["meltano.yml"]
    tap = text.partition("  - name: tap-klaviyo\n")[2].partition("  loaders:")[0]
    assert re.findall(r"^    - name: (\w+)$", tap, re.M) == [setting.name for setting in SETTINGS]
    assert re.findall(r"^    pip_url: (.*)$", text, re.M) == [
        "../tap-klaviyo",
        REQUIREMENTS["target-jsonl"],
    ]


def test_commands_of_the_page(
    clone: Path, environment: Callable[[str], Path], tmp_path: Path
) -> None:
    """The commands in docs/meltano.md lead from an empty folder to the records of an account."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE.split("## The project in")[0], re.S | re.M)
    (tmp_path / "tap-klaviyo").symlink_to(clone)
    with serve_account(500, key="pk_...") as klaviyo:
        variables = {
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_HUB_URL": "http://[::1]:9",
            "PATH": f"{environment('meltano')}:{os.environ['PATH']}",
            "TAP_KLAVIYO_BASE_URL": klaviyo.box.url,
        }
        commands = "".join(blocks)
        run("sh", "-ec", commands, cwd=tmp_path, timeout=300, environment=variables)
        project = tmp_path / "my-project"
        assert _ids(project, "lists") == klaviyo.keys()["lists"]
        assert _ids(project, "open") == klaviyo.keys(start=1735689600, end=time.time())["open"]
        assert not (project / "output" / "profiles.jsonl").exists()
    assert "pk_" not in (project / "meltano.yml").read_text()


def _set_each(project: Path, meltano: Meltano) -> dict[str, str]:
    for name, value in WRITTEN.items():
        for path, text in _flat(value, name).items():
            meltano("config", "set", "tap-klaviyo", path, text)
    return {}


def _write_file(project: Path, meltano: Meltano) -> dict[str, str]:
    lines = "".join(f"      {name}: {json.dumps(value)}\n" for name, value in WRITTEN.items())
    _edit(project, "  - name: tap-klaviyo\n", f"    config:\n{lines}")
    return {}


def _export(project: Path, meltano: Meltano) -> dict[str, str]:
    return {
        f"TAP_KLAVIYO_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in WRITTEN.items()
    }


@pytest.mark.parametrize("give", [_set_each, _write_file, _export])
def test_settings(
    project: Path, meltano: Meltano, give: Callable[[Path, Meltano], dict[str, str]]
) -> None:
    """Each setting reaches the tap by `config set`, by meltano.yml and by the environment."""
    assert ["api_key", *WRITTEN] == [setting.name for setting in SETTINGS]
    variables = give(project, meltano)
    catalog = json.loads(meltano("invoke", "tap-klaviyo", "--discover", **variables))
    assert (project / "settings.txt").read_text() == _shown(WRITTEN)
    assert {"orders", "viewed"} <= {entry["stream"] for entry in catalog["streams"]}


def test_settings_of_the_page(project: Path, meltano: Meltano) -> None:
    """The commands and the YAML for objects in docs/meltano.md mean the same."""
    section = PAGE.split("\n## Settings\n")[1].split("\n## ")[0]
    required = {"TAP_KLAVIYO_API_KEY": "pk_0", "TAP_KLAVIYO_START_DATE": "2026-01-01"}
    (commands,) = re.findall(r"^```sh\n(.*?)^```", section, re.S | re.M)
    (block,) = re.findall(r"^```yaml\n(.*?)^```", section, re.S | re.M)
    before = (project / "meltano.yml").read_text()
    for command in commands.splitlines():
        meltano(*shlex.split(command)[1:])
    meltano("invoke", "tap-klaviyo", "--discover", **required)
    first = (project / "settings.txt").read_text()
    assert "Placed Order" in first
    (project / "meltano.yml").write_text(before)
    _edit(
        project, "  - name: tap-klaviyo\n", re.sub("^", "    ", block.rstrip(), flags=re.M) + "\n"
    )
    meltano("invoke", "tap-klaviyo", "--discover", **required)
    assert (project / "settings.txt").read_text() == first


def test_patterns(project: Path, meltano: Meltano) -> None:
    """The patterns in docs/meltano.md select streams, fields, own streams and a method."""
    (block,) = re.findall(r"^```yaml\n(select:.*?)^```", PAGE, re.S | re.M)
    own = '    config:\n      metric_streams: {"orders.metric": "Placed Order"}\n'
    indented = re.sub("^", "    ", block.rstrip(), flags=re.M)
    _edit(project, "  - name: tap-klaviyo\n", f"{own}{indented}\n")
    with serve_account(500) as klaviyo:
        account = {
            "TAP_KLAVIYO_API_KEY": klaviyo.box.key,
            "TAP_KLAVIYO_BASE_URL": klaviyo.box.url,
            "TAP_KLAVIYO_START_DATE": "2020-01-01",
        }
        meltano("config", "test", "tap-klaviyo", **account)
        meltano("run", "tap-klaviyo", "target-jsonl", **account)
    written = {path.stem for path in (project / "output").iterdir()}
    assert written == {"open", "orders", "list_members"}
    record = json.loads((project / "output" / "open.jsonl").read_text().splitlines()[0])
    assert "profile" not in record
    assert record["metric"][0]["name"]
    state = json.loads(meltano("state", "get", "dev:tap-klaviyo-to-target-jsonl"))
    assert state["singer_state"]["bookmarks"].keys() == {"open", "orders", "list_members"}


def test_environments(project: Path, meltano: Meltano) -> None:
    """Each environment has settings, a key, patterns and a state of its own."""
    with serve_account(200, key="pk_dev") as dev, serve_account(300, key="pk_prod") as prod:
        lines = "".join(
            f"- name: {name}\n  config:\n    plugins:\n      extractors:\n"
            "      - name: tap-klaviyo\n"
            f"        config:\n          api_key: $KLAVIYO_KEY_{name.upper()}\n"
            f"          base_url: {account.box.url}\n          start_date: '{start}'\n"
            f"        select:\n        - {stream}.*\n"
            for name, account, start, stream in (
                ("dev", dev, "2020-01-01", "lists"),
                ("prod", prod, "2019-01-01", "campaigns"),
            )
        )
        path = project / "meltano.yml"
        text = re.sub(r"^environments:\n(- name: .*\n)+", "", path.read_text(), flags=re.M)
        path.write_text(f"environments:\n{lines}{text}")
        (project / ".env").write_text("KLAVIYO_KEY_DEV=pk_dev\nKLAVIYO_KEY_PROD=pk_prod\n")
        meltano("run", "tap-klaviyo", "target-jsonl")
        assert [file.stem for file in (project / "output").iterdir()] == ["lists"]
        assert _ids(project, "lists") == dev.keys()["lists"]
        meltano("--environment=prod", "run", "tap-klaviyo", "target-jsonl")
        assert _ids(project, "campaigns") == prod.keys()["campaigns"]
        assert _ids(project, "lists") == dev.keys()["lists"]
    assert "2019, 1, 1" in (project / "settings.txt").read_text()
    assert meltano("state", "list").split() == [
        "dev:tap-klaviyo-to-target-jsonl",
        "prod:tap-klaviyo-to-target-jsonl",
    ]


def test_accounts(project: Path, meltano: Meltano, klaviyo: SandboxAccount) -> None:
    """A state ID and an inherited plugin keep the states of two accounts apart."""
    meltano("config", "set", "tap-klaviyo", "_select", '["open.*"]')
    meltano("config", "set", "tap-klaviyo", "start_date", "2020-01-01")
    meltano(
        *("add", "--no-install", "--plugin-type", "extractor"),
        *("--inherit-from", "tap-klaviyo", "tap-klaviyo-acme"),
    )
    with serve_account(300, key="pk_acme") as acme:
        for plugin, account in {"tap-klaviyo": klaviyo, "tap-klaviyo-acme": acme}.items():
            meltano("config", "set", plugin, "api_key", account.box.key)
            meltano("config", "set", plugin, "base_url", account.box.url)
        meltano("run", "tap-klaviyo-acme", "target-jsonl")
        assert _ids(project, "open") == acme.keys(end=time.time())["open"]
        (project / "output" / "open.jsonl").unlink()
        meltano("el", "--state-id", "first", "tap-klaviyo", "target-jsonl")
        assert _ids(project, "open") == klaviyo.keys(end=time.time())["open"]
        (project / "output" / "open.jsonl").unlink()
        arrived = klaviyo.add_data()["open"]
        meltano("el", "--state-id", "first", "tap-klaviyo", "target-jsonl")
        assert {*arrived} <= {*_ids(project, "open")} < {*klaviyo.keys()["open"]}
    assert meltano("state", "list").split() == ["dev:tap-klaviyo-acme-to-target-jsonl", "first"]
