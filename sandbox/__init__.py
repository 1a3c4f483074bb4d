"""A local stand-in for Klaviyo: the demo, the tests and the benchmarks run on it.

It is written from the facts of the API alone, revision 2026-07-15, and is strict where those leave
room. `Account` is the data and the truth about it, `Sandbox` serves it over HTTP, `Api` answers
without a socket, `Faults` spoils answers on request.
"""

from sandbox.account import Account
from sandbox.api import Api
from sandbox.events import Event
from sandbox.faults import FAULTS, Fault, Faults
from sandbox.http_messages import Answer, Request
from sandbox.server import Sandbox, Seen

__all__ = [
    "FAULTS",
    "Account",
    "Answer",
    "Api",
    "Event",
    "Fault",
    "Faults",
    "Request",
    "Sandbox",
    "Seen",
]
