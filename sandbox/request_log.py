"""The log of the requests that a sandbox has received."""

from collections.abc import Iterable
from dataclasses import dataclass

_MARGIN = 0.005  # seconds by which a client may have an answer before `ended` is set


@dataclass
class LoggedRequest:
    """A request in the log: times in Unix seconds, sizes in bytes.

    `in_flight` counts concurrent requests, including this one. `status`, `sent` and `ended`
    describe the response and are 0 until it is sent; a client can receive the response shortly
    before `ended` is set. All are set once the sandbox has stopped. `key` is masked.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    key: str
    user_agent: str
    started: float
    in_flight: int
    status: int = 0
    sent: int = 0
    ended: float = 0.0
    fault: str | None = None
    body: str = ""


def longest_chain(requests: Iterable[LoggedRequest]) -> int:
    """The length of the longest sequence in which each request arrived after the answer before it.

    These requests may depend on one another, so that no number of workers makes them faster. The
    request that was answered first is the best next one of a sequence. Requests without an answer
    are not counted.
    """
    length, answered = 0, 0.0
    for request in sorted((one for one in requests if one.ended), key=lambda one: one.ended):
        if request.started >= answered - _MARGIN:
            length, answered = length + 1, request.ended
    return length
