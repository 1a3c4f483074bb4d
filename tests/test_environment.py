"""Settings that come from environment variables: what is said of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from tap_runner import only

from tap_klaviyo import Tap
from tap_klaviyo.config.loading import parse_config, parse_metric_streams
from tap_klaviyo.config.settings import SETTINGS
from tap_klaviyo.errors import ConfigError

KEY = "pk_" + "q9" * 8
FILE = {"api_key": "pk_of_the_file", "start_date": "2026-01-01"}


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"TAP_KLAVIYO_{name.upper()}"


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_an_error_about_a_setting_names_its_variable(name: str) -> None:
    """A wrong value is reported with the variable that it comes from, and not shown."""
    secrets = dict.fromkeys(("api_key", "client_secret", "refresh_token"), f"{KEY} {KEY}")
    wrong = {**secrets, "client_id": "a:b", "oauth_token_file": "\t", "user_agent": "ü"}
    with pytest.raises(ConfigError) as caught:
        parse_config(FILE, {variable(name): wrong.get(name, "?")})
    source = f"(set by the environment variable {variable(name)}, which overrides the file)"
    assert f"{name} {source}: expected " in str(caught.value)
    assert KEY not in str(caught.value)


def test_an_error_about_metric_streams_names_its_variable() -> None:
    """The same holds when only the catalog is written."""
    with pytest.raises(ConfigError, match="TAP_KLAVIYO_METRIC_STREAMS"):
        parse_metric_streams({}, {"TAP_KLAVIYO_METRIC_STREAMS": "?"})


def test_settings_of_the_file_name_no_variable() -> None:
    """Variables that are empty, or of other settings, are not mentioned."""
    with pytest.raises(ConfigError) as caught:
        parse_config({**FILE, "page_size": 0}, {"TAP_KLAVIYO_PAGE_SIZE": "", "HOME": "/"})
    assert "environment" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "named"),
    [({}, False), ({"TAP_KLAVIYO_API_KEY": f"{KEY}\n"}, True)],
    ids=["file", "environment"],
)
@pytest.mark.parametrize("run", [Tap.check, lambda tap: tap.sync(lambda lines: None)])
def test_a_refused_key_of_the_environment(
    serve: Callable[[], Any],
    caplog: pytest.LogCaptureFixture,
    environment: dict[str, str],
    named: bool,
    run: Callable[[Tap], Any],
) -> None:
    """The message for a key that Klaviyo refuses names the variable, and never shows the key."""
    caplog.set_level(logging.DEBUG)
    error = b'{"errors": [{"id": "1", "code": "not_authenticated", "title": "No", "detail": "No"}]}'
    server = serve().answer(error, "401 Unauthorized")
    tap = Tap({**FILE, "base_url": server.url}, environment=environment)
    tap = Tap({**FILE, "base_url": server.url}, only(tap, "lists"), environment=environment)
    with pytest.raises(ConfigError, match=r"Klaviyo does not accept the API key \(401\)") as caught:
        run(tap)
    assert ("TAP_KLAVIYO_API_KEY" in str(caught.value)) is named
    assert KEY not in str(caught.value) + caplog.text


def test_variables_that_override_the_file(caplog: pytest.LogCaptureFixture) -> None:
    """One line names the variables that override another value, and shows no value."""
    caplog.set_level(logging.INFO)
    file = {**FILE, "page_size": 200, "activate_version": True}
    same = {"TAP_KLAVIYO_PAGE_SIZE": "200", "TAP_KLAVIYO_ACTIVATE_VERSION": "true"}
    parse_config(file, {**same, "TAP_KLAVIYO_API_KEY": KEY, "TAP_KLAVIYO_CONCURRENCY": "3"})
    expected = "config: environment variables override the file: TAP_KLAVIYO_API_KEY."
    assert caplog.messages == [expected]


def test_a_library_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment, a Tap has the settings of its config only."""
    monkeypatch.setenv("TAP_KLAVIYO_START_DATE", "?")
    assert Tap(FILE)


def test_unknown_settings(caplog: pytest.LogCaptureFixture) -> None:
    """One warning names unknown settings and misspelt variables with what may be meant."""
    settings = {**FILE, "apikey": KEY, "Page-Size": 9, "colour": "red"}
    environment = {
        "TAP_KLAVIYO_STARTDATE": "2026-01-01",
        "TAP_KLAVIYO_HOME": "/opt",
        "TAP_KLAVIYO__SELECT": "[]",
        "TAP_KLAVIYO_PAGE_SIZE": "10",
    }
    parse_config(settings, environment)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message == (
        "config: unknown settings are ignored: 'Page-Size' (did you mean 'page_size'?), "
        "'apikey' (did you mean 'api_key'?), 'colour', "
        "TAP_KLAVIYO_STARTDATE (did you mean 'start_date'?)."
    )


@pytest.mark.parametrize("plugin", ["tap-klaviyo--acme", "tap-klaviyo-acme_2"])
def test_variables_of_an_inherited_plugin(plugin: str, caplog: pytest.LogCaptureFixture) -> None:
    """The variables that Meltano adds for an inherited plugin are not taken for misspelt ones."""
    added = {plugin.upper().replace("-", "_") + "_ACCOUNT_COLUMN": "true"}
    parse_config(FILE, {"MELTANO_EXTRACTOR_NAME": plugin, **added})
    assert not caplog.records
    parse_config(FILE, {"MELTANO_EXTRACTOR_NAME": "tap-klaviyo", **added})
    assert "(did you mean 'account_column'?)" in caplog.text
