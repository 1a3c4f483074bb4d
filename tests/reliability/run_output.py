"""What a run writes to a pipe whose reader or writer may fail."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

MEMBERS = "list_members"
"""A stream of children, read from where it ended."""

Message = dict[str, Any]


class Killed(BaseException):
    """The simulated process was killed; later writes have no effect."""


class Pipe(io.RawIOBase):
    """The bytes that a reader received from a process that may be killed during a write.

    Of write number ``last`` only ``fraction`` of the bytes arrive, and no write after it.
    ``on_write`` is called with the number of each write before.
    """

    def __init__(
        self,
        last: int | None = None,
        fraction: float = 0.0,
        on_write: Callable[[int], object] = lambda number: None,
    ) -> None:
        self.got = bytearray()
        self._writes = count(1)
        self._on_write = on_write
        self._left = last
        self._fraction = fraction
        self.broken = False

    def write(self, data: Any) -> int:
        """Receives bytes; raises :class:`Killed` from the fatal write on."""
        self._on_write(next(self._writes))
        if self.broken:
            raise Killed
        if self._left == 0:
            self.got += data[: int(len(data) * self._fraction)]
            self.broken = True
            raise Killed
        if self._left is not None:
            self._left -= 1
        self.got += data
        return len(data)


@dataclass
class RunOutput:
    """The output of one run: complete messages, a partial last line and the error.

    ``started`` is the start of the run, ``ends`` where it stops reading: a local clock that is
    behind ends it earlier. ``fault`` is the exception that ended it.
    """

    started: float
    ends: float
    messages: list[Message]
    partial_line: bytes
    fault: BaseException | None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def states(self) -> list[int]:
        """The positions of the STATE messages."""
        return [position for position, m in enumerate(self.messages) if m["type"] == "STATE"]


def id_of(message: Message) -> str:
    """The key of a RECORD in one text."""
    record = message["record"]
    names = ("list_id", "profile_id") if message["stream"] == MEMBERS else ("id",)
    return "/".join(record[name] for name in names)


def ids(messages: list[Message]) -> dict[str, set[str]]:
    """The ids of the records by stream; those of members are "list/profile"."""
    found: dict[str, set[str]] = defaultdict(set)
    for message in messages:
        if message["type"] == "RECORD":
            found[message["stream"]].add(id_of(message))
    return found
