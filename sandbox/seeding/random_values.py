"""What all makers draw from their generators: moments, and ids in the form of a UUID."""

import random
import string
import uuid
from datetime import datetime, timedelta

_LETTERS = string.ascii_letters + string.digits
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


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


def identifier(rng: random.Random, length: int) -> str:
    """A random id of letters and digits, in the way of Klaviyo's six letters."""
    return "".join(rng.choices(_LETTERS, k=length))


def ulid(rng: random.Random) -> str:
    """A random id in the form of a ULID, as profiles, campaigns and messages have."""
    return "01" + "".join(rng.choices(_CROCKFORD, k=24))
