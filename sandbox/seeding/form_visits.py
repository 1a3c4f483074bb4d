"""Seeds what visitors did with forms."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sandbox.resources import Resource

_MAX_VISITORS = 120
_SUBMIT, _QUALIFY, _CLOSE = 0.2, 0.5, 0.4  # probabilities


class FormVisit(NamedTuple):
    """An action of a visitor at a Unix second: `qualify`, `view`, `submit` or `close`."""

    timestamp: int
    action: str
    profile_id: str


def add_form_visits(
    rng: random.Random,
    forms: Sequence[Resource],
    profiles: Sequence[Resource],
    now: datetime,
    days: float,
) -> None:
    """Add visits in the `days` before `now` to the versions of live forms."""
    end = int(now.timestamp())
    start = end - int(days * 86_400)
    for form in forms:
        live = form.attributes["status"] == "live"
        for version in form.related("form-versions"):
            visitors = rng.randrange(_MAX_VISITORS) if live else 0
            version.hidden = {
                "visits": [
                    action
                    for _ in range(visitors)
                    for action in _actions(rng, rng.choice(profiles).id, rng.randrange(start, end))
                ]
            }


def _actions(rng: random.Random, profile_id: str, timestamp: int) -> list[FormVisit]:
    actions = ["qualify"] if rng.random() < _QUALIFY else []
    actions.append("view")
    if rng.random() < _SUBMIT:
        actions.append("submit")
    elif rng.random() < _CLOSE:
        actions.append("close")
    return [FormVisit(timestamp, action, profile_id) for action in actions]
