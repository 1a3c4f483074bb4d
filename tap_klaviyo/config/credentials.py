"""The two ways to authorize requests: an API key, or OAuth. Exactly one of them is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.oauth import OAuthApp

API_KEY = "api_key"
REQUIRED_BY_OAUTH = ("client_id", "client_secret", "refresh_token")
OF_OAUTH = (*REQUIRED_BY_OAUTH, "oauth_token_file")


def credentials_error(settings: Mapping[str, Any], source_of: Callable[[str], str]) -> str:
    """What is wrong with the choice of a way; empty if nothing is.

    ``settings`` are those that are written, valid or not. ``source_of`` says where one comes from.
    """
    given = [name for name in OF_OAUTH if settings.get(name) is not None]
    shown = ", ".join(f"{name}{source_of(name)}" for name in given)
    missing = [name for name in REQUIRED_BY_OAUTH if name not in given]
    if settings.get(API_KEY) is not None:
        key = f"{API_KEY}{source_of(API_KEY)}"
        return f"{key}: cannot be used with {shown}; set one or the other" if given else ""
    if not given:
        return (
            f"{API_KEY}: expected a private API key (pk_...); or, for OAuth, set "
            f"{', '.join(REQUIRED_BY_OAUTH)}"
        )
    return f"{', '.join(missing)}: missing; OAuth needs them with {shown}" if missing else ""


def credentials_of(values: Mapping[str, Any]) -> Secret | OAuthApp:
    """The credentials in parsed settings that have exactly one way."""
    if values[API_KEY] is not None:
        key: Secret = values[API_KEY]
        return key
    return OAuthApp(*(values[name] for name in REQUIRED_BY_OAUTH))
