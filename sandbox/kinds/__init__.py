"""The resource types: their attributes and relationships, as tables by area."""

from collections.abc import Mapping

from sandbox.kinds.contents import CONTENTS
from sandbox.kinds.grammar import Kind, Relation, words
from sandbox.kinds.happenings import HAPPENINGS
from sandbox.kinds.mailings import MAILINGS
from sandbox.kinds.objects import OBJECTS
from sandbox.kinds.people import PEOPLE
from sandbox.kinds.shop import SHOP

KINDS: Mapping[str, Kind] = {**HAPPENINGS, **PEOPLE, **MAILINGS, **CONTENTS, **SHOP, **OBJECTS}

__all__ = ["KINDS", "Kind", "Relation", "words"]
