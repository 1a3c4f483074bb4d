"""A local stand-in for Klaviyo's API, used by the demo, the tests and the benchmarks.

It implements revisions 2026-07-15 and 2026-10-15 from Klaviyo's documentation only, and is strict
where that is ambiguous; the header `revision` chooses. `Account` holds the data, `Api` handles
requests without a socket, `Sandbox` serves them over HTTP, and `Faults` injects failures.
`Account.set_counting` makes counts and lists of events differ from the events. `sandbox.control`
lists the commands that do the same over HTTP.
"""

from sandbox.account import Account
from sandbox.api import Api
from sandbox.events import Event
from sandbox.faults import FAULTS, Fault, Faults
from sandbox.http_messages import Request, Response
from sandbox.oauth import OAuthApp
from sandbox.request_log import LoggedRequest
from sandbox.server import Sandbox

__all__ = [
    "FAULTS",
    "Account",
    "Api",
    "Event",
    "Fault",
    "Faults",
    "LoggedRequest",
    "OAuthApp",
    "Request",
    "Response",
    "Sandbox",
]
