"""What can go wrong, named by what the user does next.

::

    TapError                one line for the user; the run exits with code 1
    ├── ConfigError         correct a setting or an input file; nothing else can go on
    ├── StreamError         one stream cannot be read; the others go on
    │   └── ApiError        because Klaviyo refuses it
    └── RetryableError      Klaviyo or the network fails for now; run again later
"""

from __future__ import annotations

LONGEST_MESSAGE = 1000


class TapError(Exception):
    """A fault whose message is one line that says what to do. Never holds a secret.

    A message may quote what a file or a server says: line breaks in it become blanks, and a text
    without end is cut.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split())[:LONGEST_MESSAGE])


class ConfigError(TapError):
    """A setting or an input file has to be corrected, so the whole run ends."""


class StreamError(TapError):
    """One stream cannot be read. The others can; the run fails when they are done."""


class ApiError(StreamError):
    """Klaviyo refuses a request for good.

    ``status`` is the HTTP status, ``parameter`` the query parameter that Klaviyo names as the
    culprit (empty if it names none).
    """

    def __init__(self, message: str, status: int, parameter: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.parameter = parameter


class RetryableError(TapError):
    """A request failed in a way that passes: a network error, a 5xx, an unreadable body."""
