"""Why a request got no answer: from an exception to a row of the failure policy."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

import requests
import urllib3

from tap_klaviyo.klaviyo.network_settings import (
    NO_PROXY_URL,
    ca_problem,
    proxy_problem,
    proxy_variable,
)
from tap_klaviyo.limits import FILES, can_open_files, limit_of

LONGEST_QUOTE = 200
"""Characters of a foreign text that a message may hold."""

INVALID_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationParseError,
    UnicodeError,
)
"""Errors of an address that no request can be sent to."""

NO_TLS = frozenset(("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"))
"""OpenSSL's reasons for an answer that is not TLS."""

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")

_TUNNEL_FAILURES = {
    401: ("proxy authentication", ""),
    407: ("proxy authentication", ""),
    405: ("proxy unusable", "it does not accept CONNECT (405), so it is not a proxy for https"),
    501: ("proxy unusable", "it does not accept CONNECT (501), so it is not a proxy for https"),
}
"""Answers of a proxy to CONNECT that will not change. Every other answer may."""

_ADDRESS = re.compile(r"<(?:[^<>]|<locals>)* at 0x[0-9a-fA-F]+>(: )?|\w*Connection\(host=[^)]*\): ")
"""A connection in the text of an error."""


class NoAnswer(NamedTuple):
    """The name of a row of the policy, the reason, and the environment variable to correct."""

    name: str
    reason: str
    variable: str = ""


def failure_of_exception(error: Exception, url: str) -> NoAnswer:
    """What it means that a request to ``url`` got no answer.

    Only what cannot heal is told apart. Everything else that happens on the wire is "no answer": a
    TLS handshake that ends early, a TLS alert, plain HTTP in place of TLS, a reset, DNS.
    """
    causes = list(_causes(error))
    if limit := _limit_reached(causes):
        return NoAnswer("limit reached", limit)
    if problem := proxy_problem(url):
        return NoAnswer("proxy unusable", problem.reason, problem.variable)
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return NoAnswer("proxy unusable", f"its value {NO_PROXY_URL}", proxy_variable(url))
    if any(map(_is_of_proxy, causes)):
        return _failure_of_proxy(error, causes, proxy_variable(url))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return NoAnswer("certificate invalid", reason_of(error))
    if any(isinstance(cause, OSError) for cause in causes) and (problem := ca_problem()):
        return NoAnswer("certificate file missing", problem.reason, problem.variable)
    if type(error) is OSError and error.errno is None:
        # This is how requests says that its own file of certificate authorities does not exist.
        return NoAnswer("certificate file missing", one_line(str(error)), "REQUESTS_CA_BUNDLE")
    if any(isinstance(cause, INVALID_ADDRESS) for cause in causes):
        return NoAnswer("address invalid", reason_of(error))
    return NoAnswer("no answer", reason_of(error))


def _limit_reached(causes: list[BaseException]) -> str:
    """The limit of the process that prevents a connection; empty if none does."""
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        # A lookup of a host name that can open no file fails as if the network were away.
        return "" if can_open_files() else FILES
    return limit_of(causes)


def _is_of_proxy(error: BaseException) -> bool:
    """Whether an error is about the connection to a proxy; those of SOCKS are PySocks' own."""
    return isinstance(error, urllib3.exceptions.ProxyError) or type(error).__module__ == "socks"


def _failure_of_proxy(error: Exception, causes: list[BaseException], variable: str) -> NoAnswer:
    """What it means that a connection through a proxy was not made."""
    tunnel = _TUNNEL.search(str(error))
    if tunnel and int(tunnel[1]) in _TUNNEL_FAILURES:
        return NoAnswer(*_TUNNEL_FAILURES[int(tunnel[1])], variable)
    if any(type(cause).__name__ == "SOCKS5AuthError" for cause in causes):
        return NoAnswer("socks authentication", "", variable)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return NoAnswer("proxy unusable", f"its certificate: {reason_of(error)}", variable)
    if any(isinstance(cause, ssl.SSLError) and cause.reason in NO_TLS for cause in causes):
        return NoAnswer("proxy unusable", "it does not use TLS: begin its URL with http", variable)
    return NoAnswer("no answer", f"{reason_of(error)}, through the proxy in {variable}", variable)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all errors that it wraps, as requests, urllib3 and PySocks do it."""
    remaining: list[object] = [error]
    seen: set[int] = set()
    while remaining:
        cause = remaining.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            remaining += [
                *cause.args,
                getattr(cause, "reason", None),
                getattr(cause, "original_error", None),
                getattr(cause, "socket_err", None),
                cause.__cause__ or cause.__context__,
            ]


def reason_of(error: BaseException) -> str:
    """The cause of an error in one short line, without object addresses and query strings."""
    cause: Any = error
    while cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    cause = getattr(cause, "reason", None) or cause
    text = one_line(_ADDRESS.sub("", _text(cause)).split("?")[0])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _text(error: BaseException) -> str:
    """The text of an error, which may have other errors or a connection beside it."""
    if all(isinstance(argument, (str, int)) for argument in error.args):
        return str(error)
    causes = [_text(one) if isinstance(one, BaseException) else one for one in error.args]
    return ": ".join(one for one in causes if isinstance(one, str)) or str(error)


def one_line(text: str) -> str:
    """A foreign text in one line, cut to ``LONGEST_QUOTE`` characters."""
    return " ".join(text.split())[:LONGEST_QUOTE]
