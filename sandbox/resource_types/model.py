"""How a resource type is described."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType


@dataclass(frozen=True)
class Relationship:
    """A relationship to a resource type.

    Its `data` is returned only if the relationship is included, or `always`.
    """

    type: str
    many: bool = False
    always: bool = False


@dataclass(frozen=True)
class ResourceType:
    """A resource type: path segment, scope, attributes (dotted names) and relationships.

    `additional` attributes are returned only by endpoints that list them under `additional` (on
    request) or `always`.
    """

    path: str
    scope: str
    attributes: frozenset[str] = frozenset()
    relationships: Mapping[str, Relationship] = field(default_factory=lambda: MappingProxyType({}))
    additional: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def all_attributes(self) -> frozenset[str]:
        """The dotted names of all attributes, additional ones included."""
        return self.attributes.union(*self.additional.values())

    def extended(self, attributes: str = "", **additional: str) -> "ResourceType":
        """The type with further attributes and additional attributes, as `name_set` reads them."""
        return replace(
            self,
            attributes=self.attributes | name_set(attributes),
            additional={
                **self.additional,
                **{
                    name: self.additional[name] | name_set(text)
                    for name, text in additional.items()
                },
            },
        )


def name_set(text: str) -> frozenset[str]:
    """Parse names separated by spaces; parentheses hold nested names.

    `location(city zip)` stands for `location`, `location.city` and `location.zip`.
    """
    names: set[str] = set()
    parents: list[str] = []
    last = ""
    for token in re.findall(r"[\w.-]+|[()]", text):
        if token == "(":
            parents.append(last)
        elif token == ")":
            parents.pop()
        else:
            last = ".".join([*parents[-1:], token])
            names.add(last)
    return frozenset(names)
