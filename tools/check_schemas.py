"""Compare `schemas/` with the models of Klaviyo's official Python client.

    pip install klaviyo-api==24.0.0
    python -m tools.check_schemas

prints one line per difference and exits with 1, or prints that all schemas agree and exits with 0.
This version of the client uses revision 2026-07-15 of the API. Version 25.0.0 uses 2026-10-15: with
it, the schemas of the folder of that revision are compared.

Both sides are flattened to a dictionary that maps each dotted path to a *kind*, so that they can be
compared. `[]` stands for the elements of an array:

    {"id": "string!", "location.latitude": "number", "tags": "array", "tags[]": "object!"}

A kind is a type name of JSON Schema, a format such as `date-time` instead of `string`, or
`free-form` for an object without declared attributes. `!` marks what cannot be null: keys and
embedded records. Every other value can be null, even if a model requires it, because Klaviyo omits
values that its models require, for example in deleted records.
"""

from __future__ import annotations

import ast
import enum
import json
import sys
import types
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from openapi_client import models
from pydantic import BaseModel

from tools import schema_rows
from tools.later_schema_rows import LATER_ROWS, REVISION
from tools.schema_rows import Row

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"

ROWS = {**schema_rows.ROWS, **LATER_ROWS}

FOLDERS = {"24": "", "25": REVISION}
"""The folder of the schemas that are compared, by the major version of the client."""

Schema = dict[str, Any]
FieldTypes = dict[str, str]


SCALARS = {
    bool: "boolean",
    date: "string",
    datetime: "date-time",
    float: "number",
    int: "integer",
    str: "string",
}


def row_of(name: str) -> Row:
    """Return the row of a schema file."""
    return ROWS.get(name) or schema_rows.row_of(name)


def load(name: str, folder: Path = SCHEMAS) -> Schema:
    """Return the schema in the file `name`, with every `$ref` and `allOf` inlined."""
    schema: Schema = _inlined(json.loads((folder / name).read_text("utf-8")), folder)
    return schema


def _inlined(node: Any, folder: Path) -> Any:
    if isinstance(node, list):
        return [_inlined(element, folder) for element in node]
    if not isinstance(node, dict):
        return node
    node = {name: _inlined(value, folder) for name, value in node.items()}
    if "$ref" in node:
        node = {**load(node.pop("$ref"), folder), **node}
    for base in node.pop("allOf", ()):
        node["properties"] = {**base["properties"], **node["properties"]}
    return node


def schema_types(schema: Schema, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and kind of everything below an inlined schema."""
    for name, node in schema.get("properties", {}).items():
        yield from _node_types(f"{path}{name}", node)


def _node_types(path: str, node: Schema) -> Iterator[tuple[str, str]]:
    names = [node["type"]] if isinstance(node["type"], str) else node["type"]
    kind = "|".join(_kind(name, node) for name in names if name != "null")
    yield path, kind if "null" in names else f"{kind}!"
    yield from schema_types(node, f"{path}.")
    if "items" in node:
        yield from _node_types(f"{path}[]", node["items"])


def _kind(name: str, node: Schema) -> str:
    if name == "object" and not node.get("properties"):
        return "free-form"
    return str(node.get("format", name)) if name == "string" else name


def model_types(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and kind of every attribute of a model, with Klaviyo's names."""
    for name, info in model.model_fields.items():
        yield from _annotation_types(f"{path}{info.alias or name}", info.annotation)


def _annotation_types(path: str, annotation: Any) -> Iterator[tuple[str, str]]:
    annotation = _bare(annotation)
    if get_origin(annotation) is list:
        yield path, "array"
        yield from _annotation_types(f"{path}[]", get_args(annotation)[0])
    elif get_origin(annotation) is dict:
        yield path, "free-form"
    elif annotation is Any:
        yield path, "anything"
    elif issubclass(annotation, BaseModel):
        yield path, "object"
        yield from model_types(annotation, f"{path}.")
    else:
        yield path, "string" if issubclass(annotation, enum.Enum) else SCALARS[annotation]


def _bare(annotation: Any) -> Any:
    """Return the annotation without `Annotated` and `Optional`; `Any` for a union of types."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    members = {_bare(member) for member in get_args(annotation)} - {types.NoneType}
    if members == {float, int}:
        return float
    return members.pop() if len(members) == 1 else Any


def wanted(row: Row) -> FieldTypes:
    """Return the kinds that the schema described by a row must have."""
    field_types: FieldTypes = {}
    for model in (getattr(models, name) for name in row.models):
        field_types |= _choice_types(model, row.choices) if row.choices else _record_types(model)
    if row.only:
        field_types = {path: field_types[path] for path in row.only}
    for path, kind in row.ours.items():
        field_types = {
            other: field_types[other] for other in field_types if not _within(other, path)
        }
        if kind is None:
            continue
        field_types[path] = kind
        if kind.endswith(".json"):
            field_types[path] = "object!"
            field_types |= {f"{path}.{below}": k for below, k in wanted(row_of(kind)).items()}
    return field_types | {key: f"{field_types[key]}!" for key in row.keys}


def _record_types(model: type[BaseModel]) -> FieldTypes:
    field_types = dict(model_types(model))
    if not {"type", "id"} <= field_types.keys():
        return field_types
    return {
        path.removeprefix("attributes."): kind
        for path, kind in field_types.items()
        if path in ("type", "id") or path.startswith("attributes.")
    }


def _choice_types(model: type[BaseModel], choices: Mapping[str, str]) -> FieldTypes:
    return {value: kind for name, kind in choices.items() for value in allowed_values(model, name)}


def allowed_values(model: type[BaseModel], name: str) -> tuple[str, ...]:
    """Return the values that the client accepts in the list `name` of a model.

    They are only in a validator of the client, which lists them in its error message.
    """
    try:
        getattr(model, f"{name}_validate_enum")([""])
    except ValueError as error:
        values: tuple[str, ...] = ast.literal_eval(str(error).partition("must be one of ")[2])
        return values
    raise AssertionError(f"{model.__name__} accepts any value in {name}")


def _within(path: str, top: str) -> bool:
    return path == top or path.startswith((f"{top}.", f"{top}[]"))


def differences(name: str, schema: Schema) -> list[str]:
    """Return a line for each path at which an inlined schema differs from its row."""
    want = wanted(row_of(name))
    have = dict(schema_types(schema))
    for union in [path for path, kind in want.items() if kind == "union"]:
        have = {path: have[path] for path in have if path == union or not _within(path, union)}
        want[union] = "object"
    return [
        f"{name}: {path} is {have.get(path, 'absent')}, should be {want.get(path, 'absent')}"
        for path in sorted(want.keys() | have.keys())
        if have.get(path) != want.get(path)
    ]


def _is_known(row: Row) -> bool:
    """Return whether the client has the model. The client imports a model on first access."""
    try:
        getattr(models, row.models[0])
    except (AttributeError, ImportError):
        return False
    return True


def main(folder: Path = SCHEMAS) -> int:
    """Print the differences between a folder's schemas and the client; return the exit code."""
    part = FOLDERS[version("klaviyo-api").partition(".")[0]]
    names = {file.relative_to(folder).as_posix() for file in (folder / part).glob("*.json")}
    rows = {name for name in ROWS if name.rpartition("/")[0] == part}
    described = {name for name in names if name in ROWS or _is_known(row_of(name))}
    found = [f"{name}: no row describes it" for name in sorted(names - described)]
    found += [f"{name}: there is no such file" for name in sorted(rows - names)]
    for name in sorted(described):
        found += differences(name, load(name, folder))
    agreement = f"{len(names)} schemas agree with klaviyo-api {version('klaviyo-api')}"
    print("\n".join(found or [agreement]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
