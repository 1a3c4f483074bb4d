"""Errors, named by what the user does next.

::

    TapError                  base class; the message is one line for the user
    ├── ConfigError           correct a setting
    │   ├── AccessError       correct the API key, the OAuth grant, a proxy or a certificate
    │   ├── CatalogError      correct the catalog
    │   └── StateError        correct or remove the state
    ├── StreamError           correct what the message names; other streams go on
    │   ├── ApiError          Klaviyo refuses a request, for example for want of a scope
    │   └── RetryableError    run again later: Klaviyo or the network fails
    ├── OutputError           make room for the output and run again
    ├── LimitError            raise a limit of the system, or lower the setting concurrency
    ├── InternalError         report a bug
    └── Stopped               nothing: stop() was called

A :class:`StreamError` ends one stream; all others end the run.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from difflib import get_close_matches

from tap_klaviyo.limits import MEMORY, is_memory_short, limit_of
from tap_klaviyo.redaction import clean

LONGEST_MESSAGE = 1000

SIMILARITY = 0.75
"""How similar two names are for one to be suggested for the other, from 0 to 1."""

LONGEST_COMPARED = 100
"""Characters of a name that are compared: comparing takes time by the square of them."""


class TapError(Exception):
    """An error whose message is one line that says what to do. It holds no secret.

    A message may quote files and servers: line breaks become blanks, other control characters are
    escaped, and long text is cut.
    """

    def __init__(self, message: str) -> None:
        text = clean(" ".join(message.split()))
        cut = len(text) > LONGEST_MESSAGE
        super().__init__(f"{text[: LONGEST_MESSAGE - 1]}…" if cut else text)


class ConfigError(TapError):
    """A setting, an input file or the environment has to be corrected."""


class AccessError(ConfigError):
    """No request can succeed: credentials, a proxy or a certificate have to be corrected."""


class CatalogError(ConfigError):
    """The catalog has to be corrected."""


class StateError(ConfigError):
    """The state has to be corrected or removed."""


class StreamError(TapError):
    """One stream cannot be read. The others can; the run fails when they are done."""


class ApiError(StreamError):
    """Klaviyo refuses a request permanently.

    ``status`` is the HTTP status. ``parameter`` is the query parameter that Klaviyo names as the
    cause, empty if it names none. ``is_page_size`` says whether the size of the page is the cause;
    None if no cause is known.
    """

    def __init__(
        self,
        message: str,
        status: int,
        parameter: str = "",
        *,
        is_page_size: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.parameter = parameter
        self.is_page_size = is_page_size


class RetryableError(StreamError):
    """Requests failed until the retries were used up, but may work later."""


def forget_frames(error: BaseException) -> None:
    """Drops the tracebacks of an error that is kept, and of its causes.

    Their frames would keep the answers alive that the error is about.
    """
    seen: set[int] = set()
    remaining: list[BaseException | None] = [error]
    while remaining:
        one = remaining.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            remaining += [one.__cause__, one.__context__]


class OutputError(TapError):
    """The output cannot be written, for example because a disk is full."""


class LimitError(TapError):
    """The process has reached a limit of the system: memory, open files or threads."""

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"The process has reached its limit of {limit}. Raise the limit, or lower the setting "
            "concurrency."
        )


class InternalError(TapError):
    """A bug in the tap, which shows as an error that was not expected."""

    @classmethod
    def of(cls, error: BaseException) -> InternalError:
        """Names the type and the place of ``error``. Its text may hold profile data."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        return cls(
            f"Internal error: {type(error).__name__} at {os.path.basename(place.filename)}:"
            f"{place.lineno}. Please report it, with the output of --debug."
        )


class Stopped(TapError):
    """The run was stopped by a call of ``stop()`` or by a signal."""


def unexpected(error: Exception) -> TapError:
    """An error that nobody has caught as one that says what to do."""
    if isinstance(error, TapError):
        return error
    if limit := limit_of([error]):
        return LimitError(limit)
    if isinstance(error, ImportError):
        return TapError(f"A dependency is missing: {error}. Reinstall tap-klaviyo with pip.")
    return LimitError(MEMORY) if is_memory_short() else InternalError.of(error)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``" (did you mean 'receive'?)"`` for a misspelt name; empty if no known one is similar.

    Case does not matter. The result follows the name in a message.
    """
    names = {one.casefold(): one for one in known}
    similar = get_close_matches(name[:LONGEST_COMPARED].casefold(), names, 1, SIMILARITY)
    return "".join(f" (did you mean '{names[one]}'?)" for one in similar)
