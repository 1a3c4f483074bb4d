"""What all makers draw from their generators: moments, and ids in the form of a UUID."""

import random
import uuid
from datetime import datetime, timedelta


def iso(moment: datetime) -> str:
    """A moment as Klaviyo writes it, in whole seconds."""
    return moment.replace(microsecond=0).isoformat()


def lifetime(rng: random.Random, now: datetime, days: float = 600) -> tuple[str, str]:
    """When something was made, within `days` before now, and when it was last changed."""
    created = now - timedelta(days=days * (0.02 + 0.98 * rng.random()))
    return iso(created), iso(created + (now - created) * rng.random())


def any_uuid(rng: random.Random) -> str:
    """A random id in the form of a UUID."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
