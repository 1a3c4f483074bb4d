"""What the body and the headers of an answer other than 200 say.

Sources: Klaviyo's guide on errors, which are those of JSON:API: an array ``errors``, each with
``detail`` and perhaps a ``source``, the parameter or the pointer that caused it. Klaviyo's guide on
OAuth errors, and RFC 6749, section 5.2: an object with a code, ``error``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import urlsplit

from tap_klaviyo.klaviyo.network_failures import LONGEST_QUOTE, one_line
from tap_klaviyo.redaction import clean

JSON_API = frozenset(("data", "errors"))
"""Members of which each document of JSON:API has one."""

UNSPECIFIC = frozenset(("", "data", "root", "query"))
"""Sources of an error that name no parameter, as :func:`_letters` has them."""

PAGE_SIZE = "pagesize"


_OAUTH_CODE = re.compile("[a-z_]{1,40}")


class ErrorDetail(NamedTuple):
    """Klaviyo's text in an error, and the parameter that it names as the cause; empty for none.

    ``is_page_size`` says whether the size of the page is the cause; None if no cause is named.
    """

    text: str = ""
    parameter: str = ""
    is_page_size: bool | None = None


NO_DETAIL = ErrorDetail()


def error_detail(body: bytes) -> ErrorDetail:
    """What the body of an error says. A proxy in front of Klaviyo may have sent HTML instead.

    Texts are cut, and hold neither secrets nor control characters.
    """
    errors = (json_api_document(body) or {}).get("errors")
    errors = [error for error in errors if isinstance(error, dict)] if _is_list(errors) else []
    if not errors:
        return NO_DETAIL
    sources = [_source(error) for error in errors]
    named = any(PAGE_SIZE in _letters(_source(error) + _text(error)) for error in errors)
    nothing = all(_letters(source) in UNSPECIFIC for source in sources)
    return ErrorDetail(
        clean(" ".join(_text(errors[0]).split()))[:LONGEST_QUOTE],
        clean(sources[0])[:LONGEST_QUOTE],
        True if named else None if nothing else False,
    )


def json_api_document(body: bytes) -> dict[str, Any] | None:
    """The document in the body of an answer; None if it is not one of JSON:API."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    # An empty object is no sign of a proxy.
    return document if not document or JSON_API & document.keys() else None


def oauth_error(body: bytes) -> str | None:
    """The code in the body of an answer of the token endpoint, such as ``invalid_grant``.

    Empty if it has none, None if it is not a JSON object. Descriptions are not read: they may quote
    tokens.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    errors = document.get("errors")
    code = document.get("error") or (_code(errors[0]) if _is_list(errors) and errors else "")
    return code if isinstance(code, str) and _OAUTH_CODE.fullmatch(code) else ""


def sender_of(headers: Mapping[str, str]) -> str:
    """What headers tell of the sender of an answer that is not Klaviyo's, in one short line."""
    if "cf-mitigated" in headers:
        return f"cf-mitigated: {one_line(headers['cf-mitigated'])}"
    if "Location" in headers:
        return f"redirect to {one_line(_host(headers['Location']))}"
    return one_line(headers.get("Content-Type", "")) or "no content"


def unreadable(error: ValueError, headers: Mapping[str, str]) -> str:
    """Why an answer of 200 could not be parsed, in one short line."""
    content_type = one_line(headers.get("Content-Type", ""))
    if "html" in content_type.lower():
        return f"it is {content_type}, perhaps of a proxy, a firewall or a login page"
    return one_line(str(error))


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return parts.hostname or parts.path
    except ValueError:
        return "an invalid address"


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _source(error: Mapping[str, Any]) -> str:
    source = error.get("source")
    if not isinstance(source, dict):
        return ""
    return str(source.get("parameter") or source.get("pointer") or "")


def _code(error: Any) -> Any:
    return error.get("code") if isinstance(error, dict) else None


def _text(error: Mapping[str, Any]) -> str:
    return str(error.get("detail") or error.get("title") or "")


def _letters(text: str) -> str:
    return re.sub("[^a-z]", "", text.lower())
