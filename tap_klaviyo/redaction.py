"""Text for people: without secrets, and without characters that forge lines or drive a terminal."""

from __future__ import annotations

import re

HIDDEN = "***"

SHORTEST_SECRET = 4
"""Characters of the shortest secret that is looked for: a shorter one is in every second word."""

_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#@]+@")
"""The user name and the password in a URL."""

_secrets: list[str] = []


def hide(secret: str) -> None:
    """Makes :func:`clean` hide a secret, for as long as the process lives."""
    if len(secret) >= SHORTEST_SECRET and secret not in _secrets:
        _secrets.append(secret)
        _secrets.sort(key=len, reverse=True)  # A secret may be a part of another one.


def masked(text: str) -> str:
    """``text`` with asterisks in place of secrets, and of user names and passwords in URLs."""
    for secret in _secrets:
        text = text.replace(secret, HIDDEN)
    return _CREDENTIALS.sub(f"{HIDDEN}@", text) if "@" in text else text


def escaped(text: str) -> str:
    r"""``text`` with escapes such as ``\n`` for characters that are not printable."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def clean(text: str) -> str:
    """A foreign text as one line that is safe to show."""
    return escaped(masked(text))
