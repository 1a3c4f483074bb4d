"""The two ways to authorize requests: an API key or OAuth, and never both."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.oauth import OAuthApp

KEY = {"api_key": "pk_test"}
CANARY = "canary" + "z8" * 8
APP = {"client_id": "app-1", "client_secret": "secret-1", "refresh_token": "token-1"}
FILE = {"oauth_token_file": "tokens.json"}
PREFIX = "TAP_KLAVIYO_"
OVERRIDES = " (set by the environment variable {}, which overrides the file)"
NEITHER = (
    "api_key: expected a private API key (pk_...); or, for OAuth, set client_id, client_secret, "
    "refresh_token"
)


def without(name: str) -> dict[str, str]:
    """The settings of OAuth but for one."""
    return {key: value for key, value in APP.items() if key != name}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({}, NEITHER),
    "null": ({"api_key": None, "client_id": None}, NEITHER),
    "both": (
        {**KEY, **APP},
        "api_key: cannot be used with client_id, client_secret, refresh_token; set one or the "
        "other",
    ),
    "a key and a part": (
        {**KEY, "client_id": "app-1"},
        "api_key: cannot be used with client_id; set one or the other",
    ),
    "a key and a token file": (
        {**KEY, **FILE},
        "api_key: cannot be used with oauth_token_file; set one or the other",
    ),
    "no client_id": (
        without("client_id"),
        "client_id: missing; OAuth needs them with client_secret, refresh_token",
    ),
    "no client_secret": (
        without("client_secret"),
        "client_secret: missing; OAuth needs them with client_id, refresh_token",
    ),
    "no refresh_token": (
        {**without("refresh_token"), **FILE},
        "refresh_token: missing; OAuth needs them with client_id, client_secret, oauth_token_file",
    ),
    "only a token file": (
        FILE,
        "client_id, client_secret, refresh_token: missing; OAuth needs them with oauth_token_file",
    ),
}


@pytest.mark.parametrize(("settings", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_none_both_or_a_part(settings: dict[str, Any], expected: str) -> None:
    """One line says what is wrong with the choice."""
    with pytest.raises(ConfigError) as caught:
        parse_config({"start_date": "2026-01-01", **settings})
    assert str(caught.value) == f"config: {expected}."


def test_an_api_key() -> None:
    """An API key is enough."""
    credentials = parse_config({"start_date": "2026-01-01", **KEY}).credentials
    assert isinstance(credentials, Secret)
    assert credentials.reveal() == "pk_test"


@pytest.mark.parametrize("source", ["file", "environment"])
def test_oauth(source: str) -> None:
    """The three settings of an app are enough, wherever they come from; blanks are no part."""
    settings = {name: f" {value}\n" for name, value in {**APP, **FILE}.items()}
    variables = {PREFIX + name.upper(): value for name, value in settings.items()}
    given = (settings, {}) if source == "file" else ({}, variables)
    config = parse_config({"start_date": "2026-01-01", **given[0]}, given[1])
    app = config.credentials
    assert isinstance(app, OAuthApp)
    assert [app.client_id, app.client_secret.reveal(), app.refresh_token.reveal()] == [
        *APP.values()
    ]
    assert config.oauth_token_file == "tokens.json"


def test_a_variable_beside_the_file() -> None:
    """If one of the two comes from a variable, the line names that."""
    with pytest.raises(ConfigError) as caught:
        parse_config({"start_date": "2026-01-01", **KEY}, {PREFIX + "CLIENT_ID": "app-1"})
    source = OVERRIDES.format("TAP_KLAVIYO_CLIENT_ID")
    assert f"api_key: cannot be used with client_id{source}; set" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        *(("client_id", written) for written in ("", " ", "a b", "a:b", "ü", 1, ["a"])),
        *(("client_secret", written) for written in ("", "a b", "ü", 1, {})),
        *(("refresh_token", written) for written in ("", "a\nb", "ü", True)),
        *(("oauth_token_file", written) for written in ("", " ", "a\x00b", 1)),
    ],
)
def test_values_that_cannot_be_sent(name: str, written: Any) -> None:
    """A value that is no word of ASCII is refused with what is expected."""
    with pytest.raises(ConfigError, match=f"^config: {name}: expected ") as caught:
        parse_config({"start_date": "2026-01-01", **APP, name: written})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["client_secret", "refresh_token"])
def test_secrets_never_print(name: str) -> None:
    """Secrets are not in the text of a config, its credentials, or an error about them."""
    settings = {"start_date": "2026-01-01", **APP}
    config = parse_config({**settings, name: CANARY})
    shown = [repr(config), str(config.credentials), repr(vars(config))]
    for wrong in ({name: f"{CANARY} {CANARY}"}, {name: CANARY, "client_id": "a b"}):
        with pytest.raises(ConfigError) as caught:
            parse_config({**settings, **wrong})
        shown += traceback.format_exception(caught.value)
    assert CANARY not in "".join(shown)
