"""The environment variables of ``requests`` for proxies and certificate authorities.

What is wrong with them is found only after a request has failed: a run without a proxy pays
nothing for it. Passwords are never part of a text.
"""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import ssl
from typing import NamedTuple
from urllib.parse import unquote
from urllib.request import getproxies

from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from tap_klaviyo.limits import limit_of
from tap_klaviyo.redaction import hide

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables of a file of certificate authorities, in the order in which requests reads them."""

PROXY_SCHEMES = frozenset(("http", "https", "socks4", "socks4a", "socks5", "socks5h"))

NO_PROXY_URL = "is not the URL of a proxy, such as http://proxy.example:8080"

_CREDENTIALS = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]*://)?(?P<credentials>.*)@", re.I | re.S)

_NOT_IN_A_HOST = re.compile(r"[\x00-\x20\x7f]")


class SettingProblem(NamedTuple):
    """An environment variable that cannot work, and why."""

    variable: str
    reason: str


def hide_proxy_passwords() -> None:
    """Keeps the passwords of all proxies out of every log and error."""
    for proxy in getproxies().values():
        match = _CREDENTIALS.match(proxy)
        credentials = match["credentials"] if match else ""
        user, _, password = credentials.partition(":")
        for secret in (credentials, password or user):
            hide(secret)
            hide(unquote(secret))
        hide(base64.b64encode(unquote(credentials).encode()).decode())


def proxy_variable(url: str) -> str:
    """The environment variable of the proxy that requests to ``url`` take; empty for none."""
    proxy = _proxy(url)
    scheme = url.partition(":")[0]
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    found = next((name for name in names if os.environ.get(name) == proxy), "the system's settings")
    return found if proxy is not None else ""


def proxy_problem(url: str) -> SettingProblem | None:
    """Why requests to ``url`` can never use their proxy; None if they may."""
    proxy = _proxy(url)
    reason = "" if proxy is None else _proxy_fault(proxy)
    return SettingProblem(proxy_variable(url), reason) if reason else None


def ca_problem() -> SettingProblem | None:
    """Why the configured file of certificate authorities cannot be used; None if it can.

    Also None if a limit of the system prevents that it is read.
    """
    variable = next((name for name in CA_VARIABLES if os.environ.get(name)), None)
    if variable is None or os.path.isdir(os.environ[variable]):
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(os.environ[variable])
    except (OSError, ValueError) as error:
        if limit_of([error]):
            return None
        shown = "not a file of certificates" if isinstance(error, ssl.SSLError) else str(error)
        return SettingProblem(variable, f"{os.environ[variable]}: {shown}")
    return None


def _proxy(url: str) -> str | None:
    return select_proxy(url, get_environ_proxies(url))


def _proxy_fault(proxy: str) -> str:
    """Why a proxy can never be used; empty if it may."""
    shown = _CREDENTIALS.sub(r"\g<scheme>***@", proxy) if "://" in proxy else proxy.split("@")[-1]
    try:
        parsed = parse_url(proxy if "://" in proxy else f"http://{proxy}")
        (parsed.host or "").encode("idna")
    except (LocationParseError, UnicodeError):
        return f"'{shown}' {NO_PROXY_URL}"
    if not parsed.host or _NOT_IN_A_HOST.search(parsed.host) or parsed.port == 0:
        return f"'{shown}' {NO_PROXY_URL}"
    if parsed.scheme not in PROXY_SCHEMES:
        return f"its scheme is '{parsed.scheme}', not one of {', '.join(sorted(PROXY_SCHEMES))}"
    if parsed.scheme.startswith("socks") and importlib.util.find_spec("socks") is None:
        return (
            f"{parsed.scheme} needs PySocks, which is not installed: pip install 'requests[socks]'"
        )
    return ""
