"""Reads endpoints with the version of Klaviyo's SDK that is on the path.

Reads `{"url", "key", "endpoints": {path: options}}` from stdin; the options of an endpoint are
`ids` (null for a path without an id), `filter`, `include` and `additional`. Prints the revision of
the SDK, its GET `operations` by path, and for each endpoint its `records`, their `attributes`, the
`included` types and the hints. An answer that the models refuse is an error.
"""

import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any, get_args, get_origin
from urllib.parse import parse_qs, unquote, urlsplit

from klaviyo_api import KlaviyoAPI
from pydantic import BaseModel, ValidationError

_SERIALIZE = "_serialize"


def operations(sdk: KlaviyoAPI) -> dict[str, Any]:
    """The methods of all GET operations by path; the id in a path is `{id}`."""
    found = {}
    for area in vars(type(sdk)):
        if not area[0].isupper():
            continue
        api = getattr(sdk, area)
        for name in dir(api):
            if not name.endswith(_SERIALIZE):
                continue
            serialize = getattr(api, name)
            arguments = dict.fromkeys(inspect.signature(serialize).parameters)
            if "id" in arguments:
                arguments["id"] = "{id}"
            method, url = serialize(**{**arguments, "_host_index": 0})[:2]
            if method == "GET":
                path = unquote(urlsplit(url).path)
                found[path] = getattr(api, name[1:].removesuffix(_SERIALIZE))
    return found


def pages(operation: Any, id: str | None, options: dict[str, Any]) -> Iterator[Any]:
    """All pages of a collection, or the only answer."""
    path_ids = () if id is None else (id,)
    additional = options["additional"]
    arguments = {
        "filter": options["filter"],
        "include": options["include"],
        **{f"additional_fields_{name.replace('-', '_')}": additional[name] for name in additional},
    }
    arguments = {name: value for name, value in arguments.items() if value}
    while True:
        page = operation(*path_ids, **arguments)
        yield page
        link = getattr(page.links, "next", None)
        if not link:
            return
        arguments["page_cursor"] = parse_qs(urlsplit(link).query)["page[cursor]"][0]


def attributes(annotation: Any, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """The dotted names of a model's attributes, and whether each is a dict of any names.

    Does not enter lists.
    """
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            dotted = prefix + (field.alias or name)
            parts = [field.annotation, *get_args(field.annotation)]
            origins = {get_origin(part) for part in parts}
            yield dotted, dict in origins or Any in parts
            if list not in origins:
                yield from attributes(field.annotation, f"{dotted}.")
    for part in get_args(annotation):
        yield from attributes(part, prefix)


class Reader:
    """Reads endpoints, and remembers the models of resource types and what was included."""

    def __init__(self) -> None:
        self._models: dict[str, set[type[BaseModel]]] = {}
        self._unparsed: list[dict[str, Any]] = []

    def read(self, operation: Any, options: dict[str, Any]) -> dict[str, Any]:
        """The ids, attributes, included types and hints of an endpoint."""
        records: list[str] = []
        names: dict[str, bool] = {}
        included: set[str] = set()
        hints: list[str] = []
        for id in options["ids"]:
            for page in pages(operation, id, options):
                data = page.data if isinstance(page.data, list) else [page.data]
                for record in filter(None, data):
                    records.append(record.id)
                    names.update(attributes(type(getattr(record, "attributes", None))))
                    self._models.setdefault(record.type.value, set()).add(type(record))
                for one in getattr(page, "included", None) or ():
                    is_parsed = isinstance(one, BaseModel)
                    included.add(one.type.value if is_parsed else one["type"])
                    # The SDK has no model of the relationships of custom objects.
                    has_model = is_parsed or "meta" not in one.get("attributes", {})
                    self._unparsed += [one] if has_model and not is_parsed else []
                meta = getattr(page, "meta", None)
                hints += meta.agent_hints.next_steps if meta else []
        return {
            "records": records,
            "attributes": names,
            "included": sorted(included),
            "hints": hints,
        }

    def parse_included(self) -> None:
        """Parses what the SDK leaves as dicts, which it does if several types are included.

        Raises ValueError if no model of the type accepts a resource.
        """
        for one in self._unparsed:
            models = self._models.get(one["type"], set())
            if models and not any(accepts(model, one) for model in models):
                raise ValueError(f"no model accepts {one}")


def accepts(model: Any, resource: dict[str, Any]) -> bool:
    """Whether a model accepts a resource."""
    try:
        model.from_dict(resource)
    except ValidationError:
        return False
    return True


def main() -> None:
    """Reads the endpoints that stdin asks for."""
    asked = json.load(sys.stdin)
    sdk = KlaviyoAPI(asked["key"], max_retries=1, test_host=asked["url"])
    known = operations(sdk)
    reader = Reader()
    endpoints = {
        path: reader.read(known[path], options)
        for path, options in asked["endpoints"].items()
        if path in known
    }
    reader.parse_included()
    json.dump(
        {
            "revision": sdk._REVISION,
            "operations": {path: method.__name__ for path, method in known.items()},
            "endpoints": endpoints,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
