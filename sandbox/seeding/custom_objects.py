"""Seeds custom objects: data sources, object types, schemas, records and ingestion logs."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.random_values import created_and_updated, iso, random_ulid

_SOURCES, _RECORDS, _LOGS = 23, 130, 60
_RELATIONSHIPS = (
    ("Pet", "Appointment", "appointments", "Visits to the vet"),
    ("Pet", "Pet", "siblings", None),
    ("Pet", "", "owner", "Who pays 🐈"),
    ("Appointment", "Pet", "patient", None),
    ("Appointment", "", "visitor", None),
)
"""Object type, related object type (empty for profiles), name and description."""

_PROPERTIES = (
    ("name", "string"),
    ("age", "int"),
    ("weight", "float"),
    ("vaccinated", "boolean"),
    ("born", "timestamp"),
)


def make_data_sources(rng: random.Random) -> list[Resource]:
    """Two pages of data sources."""
    return [
        Resource(
            "data-source",
            random_ulid(rng),
            {
                "title": f"Source {number}",
                "visibility": ("private", "shared")[number % 2],
                "description": "" if number % 3 else "Aus dem Lager",
                "namespace": "custom-objects",
            },
        )
        for number in range(_SOURCES)
    ]


def make_object_types(
    rng: random.Random, now: datetime, sources: list[Resource]
) -> tuple[list[Resource], ...]:
    """Object types: one with many records and ingestion errors, one with none, and a draft.

    Returns the object types, their schemas, the source mappings, and the records.
    """
    types = [
        _object_type(rng, now, sources[0], "Pet", "active", _RECORDS, _LOGS),
        _object_type(rng, now, sources[1], "Appointment", "active", 0, 0),
        _object_type(rng, now, sources[2], "Loyalty card – Entwurf", "draft", 0, 0),
    ]
    _relate(rng, {type.attributes["title"]: type for type in types})
    schemas = [schema for type in types for schema in type.related("schema-versions")]
    mappings = [mapping for schema in schemas for mapping in schema.related("source-mapping")]
    records = [record for type in types for record in type.related("object-records")]
    return types, schemas, mappings, records


def _object_type(
    rng: random.Random,
    now: datetime,
    source: Resource,
    title: str,
    status: str,
    records: int,
    logs: int,
) -> Resource:
    created, updated = created_and_updated(rng, now)
    type = Resource(
        "object-type",
        random_ulid(rng),
        {
            "title": title,
            "description": f"{title} of a customer",
            "status": status,
            "namespace": "custom-objects",
            "created_at": created,
            "updated_at": updated,
        },
    )
    current = [_schema(rng, title, source, created)] if status == "active" else []
    draft = [_schema(rng, title, source, None)] if status == "draft" or records else []
    stored = [_record(type, number) for number in range(records)]
    type.relationships |= {
        "current-schema": current,
        "draft-schema": draft,
        "schema-versions": current + draft,
        "object-records": stored,
        "object-ingestion-logs": [
            _log(rng, now, type, stored[number], number) for number in range(logs)
        ],
    }
    return type


def _schema(rng: random.Random, title: str, source: Resource, published: str | None) -> Resource:
    mappings: list[dict[str, Any]] = [
        {
            "id": number,
            "type": "simple",
            "source": {"source_id": source.id, "id_path": "$.id", "data_path": f"$.{name}"},
        }
        for number, (name, _) in enumerate(_PROPERTIES)
    ]
    mappings[-1] = {"id": mappings[-1]["id"], "type": "constant", "value": "2020-05-01"}
    mapping = Resource(
        "source-mapping",
        random_ulid(rng),
        {"property_mappings": mappings, "relationship_mappings": []},
    )
    return Resource(
        "object-schema",
        random_ulid(rng),
        {
            "title": title,
            "description": "",
            "visibility": "private",
            "status": "active" if published else "draft",
            "properties": [
                {"id": number, "name": name, "type": type, "description": None}
                for number, (name, type) in enumerate(_PROPERTIES)
            ],
            "required": ["name"],
            "published_at": published,
        },
        {"source-mapping": [mapping]},
    )


def _relate(rng: random.Random, types: Mapping[str, Resource]) -> None:
    """Relate object types, and their current schemas, to each other and to profiles."""
    for title, other_title, name, description in _RELATIONSHIPS:
        type = types[title]
        (schema,) = type.related("current-schema")
        id = random_ulid(rng)
        meta = {"relationship_id": id, "name": name, "description": description}
        if other_title:
            other = types[other_title]
            (other_schema,) = other.related("current-schema")
            _add_related(type, "object-types", f"{other.id}:::{name}", meta)
            _add_related(schema, "object-schemas", f"{other_schema.id}:::{name}", meta)
        else:
            _add_related(type, "profile-object-types", f"profile:::{name}", meta)
            _add_related(schema, "profile-object-schemas", "profile", meta)
        (mapping,) = schema.related("source-mapping")
        mapping.attributes["relationship_mappings"].append(
            _relationship_mapping(mapping, id, to_profile=not other_title)
        )


def _add_related(owner: Resource, relationship: str, id: str, meta: dict[str, Any]) -> None:
    """Add a relationship to an object type or schema."""
    related = Resource(relationship.removesuffix("s"), id, {"meta": meta})
    owner.relationships.setdefault(relationship, []).append(related)


def _relationship_mapping(mapping: Resource, id: str, *, to_profile: bool) -> dict[str, Any]:
    source_id = mapping.attributes["property_mappings"][0]["source"]["source_id"]
    source: dict[str, Any] = {
        "source_id": source_id,
        "type": "custom-object",
        "id_path": "$.id",
        "related_id_path": "$.related.id",
        "update_strategy": "additive",
    }
    if to_profile:
        source = {
            "source_id": source_id,
            "type": "profile",
            "id_path": "$.id",
            "related_id_paths": [{"identifier_type": "email", "path": "$.owner.email"}],
            "update_strategy": None,
        }
    return {"relationship_id": id, "type": "simple", "source": source}


def _record(type: Resource, number: int) -> Resource:
    properties = {
        "name": f"Mia {number} 🐈",
        "age": number % 20,
        "weight": 3.5 + number if number % 4 else None,
        "vaccinated": number % 2 == 0,
        "born": "2020-05-01T00:00:00+00:00",
    }
    return Resource("object-record", f"{type.id}:::pet-{number}", {"record_properties": properties})


def _log(
    rng: random.Random, now: datetime, type: Resource, record: Resource, number: int
) -> Resource:
    error = {
        "code": "invalid_type",
        "message": "Expected an integer.",
        "property": "age",
        "invalid_value": "zwölf" if number % 2 else None,
    }
    status = ("error", "warning")[number % 5 == 0]
    return Resource(
        "object-ingestion-log",
        random_ulid(rng),
        {
            "event_type": "validation_error",
            "status": status,
            "timestamp": iso(now - timedelta(seconds=rng.randrange(13 * 86_400))),
            "summary": "1 property could not be read",
            "errors": [error],
        },
        {"object-type": [type], "object-record": [record]},
        hidden={"record_id": record.id.partition(":::")[2]},
    )
