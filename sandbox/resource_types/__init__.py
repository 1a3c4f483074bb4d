"""The resource types: their attributes and relationships, as tables by area."""

from collections.abc import Mapping

from sandbox.resource_types.campaigns import MAILINGS
from sandbox.resource_types.commerce import SHOP
from sandbox.resource_types.content import CONTENTS
from sandbox.resource_types.custom_objects import OBJECTS
from sandbox.resource_types.events import HAPPENINGS
from sandbox.resource_types.model import Kind, Relation, words
from sandbox.resource_types.profiles import PEOPLE

KINDS: Mapping[str, Kind] = {**HAPPENINGS, **PEOPLE, **MAILINGS, **CONTENTS, **SHOP, **OBJECTS}

__all__ = ["KINDS", "Kind", "Relation", "words"]
