"""Random ids and dates, and the format of dates."""

import random
import string
import uuid
from datetime import datetime, timedelta

_LETTERS = string.ascii_letters + string.digits
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def iso(moment: datetime) -> str:
    """A datetime as ISO 8601 in whole seconds, as Klaviyo writes it."""
    return moment.replace(microsecond=0).isoformat()


def created_and_updated(rng: random.Random, now: datetime, days: float = 600) -> tuple[str, str]:
    """Random dates of creation, within `days` before `now`, and of the last update."""
    created = now - timedelta(days=days * (0.02 + 0.98 * rng.random()))
    return iso(created), iso(created + (now - created) * rng.random())


def random_uuid(rng: random.Random) -> str:
    """A random UUID."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def random_id(rng: random.Random, length: int) -> str:
    """A random id of letters and digits; most of Klaviyo's have six."""
    return "".join(rng.choices(_LETTERS, k=length))


def random_ulid(rng: random.Random) -> str:
    """A random ULID, as profiles, campaigns and campaign messages have."""
    return "01" + "".join(rng.choices(_CROCKFORD, k=24))
