"""What visitors of the shop did with its forms."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sandbox.resources import Resource

_MOST = 120
_SUBMIT, _QUALIFY, _CLOSE = 0.2, 0.5, 0.4


class Visit(NamedTuple):
    """A visitor viewed, submitted or closed a form, or qualified for one, at a Unix second."""

    timestamp: int
    what: str
    profile_id: str


def visit(
    rng: random.Random,
    forms: Sequence[Resource],
    profiles: Sequence[Resource],
    now: datetime,
    days: float,
) -> None:
    """Give every version of a form its visits in the `days` before now; some have none."""
    end = int(now.timestamp())
    start = end - int(days * 86_400)
    for form in forms:
        live = form.attributes["status"] == "live"
        for version in form.related("form-versions"):
            amount = rng.randrange(_MOST) if live else 0
            version.hidden = {
                "visits": [
                    step
                    for _ in range(amount)
                    for step in _steps(rng, rng.choice(profiles).id, rng.randrange(start, end))
                ]
            }


def _steps(rng: random.Random, profile_id: str, moment: int) -> list[Visit]:
    steps = ["qualify"] if rng.random() < _QUALIFY else []
    steps.append("view")
    if rng.random() < _SUBMIT:
        steps.append("submit")
    elif rng.random() < _CLOSE:
        steps.append("close")
    return [Visit(moment, what, profile_id) for what in steps]
