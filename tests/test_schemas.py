"""The bundled schemas follow our rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.streams import REGISTRIES
from tools import check_schemas

ROOT = Path(__file__).resolve().parent.parent

FILES = sorted(
    file.relative_to(ROOT / "schemas").as_posix() for file in (ROOT / "schemas").rglob("*.json")
)
RECORD_KEYS = {
    "2026-10-15/billing_usage.json": "id period_start",
    "2026-10-15/brand_voice.json": "account_id",
    "2026-10-15/campaign.json": "",
    "2026-10-15/campaign_message.json": "",
    "2026-10-15/campaign_message_record.json": "",
    "2026-10-15/campaign_message_tag.json": "campaign_message_id tag_id",
    "2026-10-15/campaign_variation_image.json": "campaign_variation_id",
    "2026-10-15/coupon.json": "",
    "2026-10-15/subscriptions.json": "",
    "2026-10-15/template.json": "",
    "2026-10-15/text_messaging_configuration.json": "account_id",
    "2026-10-15/translation_values.json": "translation_id",
    "aggregate_statistics.json": "",
    "campaign_recipient_estimation.json": "campaign_id",
    "campaign_values_report.json": """
        report start end campaign_id campaign_message_id send_channel groupings_key""",
    "catalog_category_item.json": "category_id item_id",
    "flow_definition.json": "flow_id",
    "flow_series_report.json": """
        report date interval flow_id flow_message_id send_channel groupings_key""",
    "flow_values_report.json": """
        report start end flow_id flow_message_id send_channel groupings_key""",
    "form_definition.json": "form_id",
    "form_series_report.json": "report date interval form_id groupings_key",
    "form_statistics.json": "",
    "form_values_report.json": "report start end form_id groupings_key",
    "global_exclusion.json": "id email",
    "list_exclusion.json": "list_id profile_id reason timestamp",
    "list_profile_count.json": "list_id",
    "list_member.json": "list_id profile_id",
    "message_statistics.json": "",
    "metric_aggregate.json": "report metric_id date interval dimensions_key",
    "object_schema_relationships.json": "object_schema_id",
    "object_type_relationships.json": "object_type_id",
    "predictive_analytics.json": "",
    "segment_profile_count.json": "segment_id",
    "segment_member.json": "segment_id profile_id",
    "segment_series_report.json": "report date interval segment_id",
    "segment_statistics.json": "",
    "segment_values_report.json": "report start end segment_id",
    "subscriptions.json": "",
}
KEYS = {file: set(RECORD_KEYS.get(file, "id").split()) for file in FILES}
KEYWORDS = {"type", "format", "description", "properties", "additionalProperties", "items"}
TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}
FREE_FORM = [
    ("event.json", "event_properties"),
    ("flow_action.json", "definition"),
    ("flow_message.json", "definition"),
    ("flow_definition.json", "definition"),
    ("form_definition.json", "definition"),
    ("profile.json", "properties"),
    ("segment.json", "definition"),
    ("template.json", "definition"),
    ("universal_content.json", "definition"),
    ("any_event.json", "integration"),
    ("catalog_item.json", "custom_metadata"),
    ("catalog_variant.json", "custom_metadata"),
    ("coupon.json", "monitor_configuration"),
    ("custom_metric.json", "definition"),
    ("metric.json", "integration"),
    ("metric_aggregate.json", "dimensions"),
    ("object_record.json", "record_properties"),
    ("source_mapping.json", "property_mappings[]"),
    ("source_mapping.json", "relationship_mappings[].source"),
    ("campaign_message.json", "kv_pairs"),
    ("campaign_message.json", "content.action_buttons[]"),
    ("subscriptions.json", "email.open_tracking.metadata"),
    ("subscriptions.json", "whatsapp.marketing.metadata"),
    ("subscriptions.json", "whatsapp.transactional.metadata"),
    ("subscriptions.json", "whatsapp.conversational.metadata"),
    ("2026-10-15/subscriptions.json", "subscriptions.email.click_tracking.metadata"),
    ("2026-10-15/campaign_variation.json", "details"),
    ("2026-10-15/campaign_message.json", "send_options.send_times"),
    ("2026-10-15/translation.json", "metadata"),
    ("2026-10-15/translation_values.json", "values[]"),
]

# What tap-klaviyo 1.1.5 of singer-io declares, by type.
SINGER_IO = {
    "event.json": {
        "array": "metric profile",
        "integer": "timestamp",
        "object": "event_properties metric[].integration profile[].location profile[].properties",
        "string": """
            datetime id metric[].created metric[].id metric[].name metric[].type metric[].updated
            profile[].created profile[].email profile[].external_id profile[].first_name
            profile[].id profile[].image profile[].last_event_date profile[].last_name
            profile[].organization profile[].phone_number profile[].title profile[].type
            profile[].updated type uuid""",
        "date-time": """
            metric[].created metric[].updated profile[].created profile[].last_event_date
            profile[].updated""",
    },
    "campaign.json": {
        "array": """
            audiences.excluded audiences.included campaign-messages
            campaign-messages[].send_times tags""",
        "boolean": "archived",
        "object": """
            audiences campaign-messages[].content campaign-messages[].render_options
            campaign-messages[].send_times[] send_options send_strategy tracking_options""",
        "string": """
            audiences.excluded[] audiences.included[] campaign-messages[].channel
            campaign-messages[].created_at campaign-messages[].id campaign-messages[].label
            campaign-messages[].type campaign-messages[].updated_at created_at id name
            scheduled_at send_time status tags[].id tags[].name tags[].type type updated_at""",
        "date-time": """
            campaign-messages[].created_at campaign-messages[].updated_at created_at
            scheduled_at send_time updated_at""",
    },
    "list.json": {
        "array": "tags",
        "string": "created id name opt_in_process tags[].id tags[].name tags[].type type updated",
        "date-time": "created updated",
    },
    "global_exclusion.json": {
        "object": "location predictive_analytics properties subscriptions",
        "string": """
            created email external_id first_name id image last_event_date last_name organization
            phone_number title type updated""",
        "date-time": "created last_event_date updated",
    },
}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the path and node of each property of a schema; `[]` marks array elements."""
    for name, node in schema.get("properties", {}).items():
        yield f"{path}{name}", node
        yield from nodes(node, f"{path}{name}.")
        if "items" in node:
            yield f"{path}{name}[]", node["items"]
            yield from nodes(node["items"], f"{path}{name}[].")


def written(file: str) -> dict[str, Any]:
    """Returns a schema as it is written in its file."""
    schema: dict[str, Any] = json.loads((ROOT / "schemas" / file).read_text("utf-8"))
    return schema


def inlined(file: str) -> dict[str, Any]:
    """Returns a schema with its references resolved."""
    schema: dict[str, Any] = check_schemas.load(file)
    return schema


def types(node: dict[str, Any]) -> list[str]:
    """Returns the types of a node as a list, also if the file has a single string."""
    listed: str | list[str] = node["type"]
    return [listed] if isinstance(listed, str) else listed


@pytest.mark.parametrize("file", FILES)
class TestRules:
    """Rules for every schema file."""

    def test_valid(self, file: str) -> None:
        """A schema is valid JSON Schema draft 4 and describes an object."""
        schema = inlined(file)
        jsonschema.Draft4Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert schema["properties"]

    def test_top_level(self, file: str) -> None:
        """A file has only a type, properties and the schemas it extends at the top level."""
        assert {"type", "properties"} <= written(file).keys() <= {"type", "properties", "allOf"}

    def test_references(self, file: str) -> None:
        """A schema refers only to other schemas, by the path of the file."""
        schema = written(file)
        references = [node["$ref"] for _, node in nodes(schema) if "$ref" in node]
        references += [base["$ref"] for base in schema.get("allOf", ())]
        assert set(references) <= set(FILES) - {file}

    def test_keywords(self, file: str) -> None:
        """A node uses only keywords that every target supports, and references."""
        for path, node in nodes(written(file)):
            assert node.keys() <= KEYWORDS | {"$ref"}, path
        for path, node in nodes(inlined(file)):
            assert node.keys() <= KEYWORDS, path
            assert node.get("format", "date-time") in ("date", "date-time"), path

    def test_descriptions(self, file: str) -> None:
        """Every property has a description of at most 200 characters."""
        for path, node in nodes(written(file)):
            if not path.endswith("[]"):
                assert node["description"].endswith("."), path
                assert len(node["description"]) <= 200, path

    def test_names(self, file: str) -> None:
        """Names fit into PostgreSQL's column name limit."""
        for path, _ in nodes(inlined(file)):
            assert len(path.rpartition(".")[2].removesuffix("[]")) <= 63, path

    def test_types(self, file: str) -> None:
        """Types are valid; null comes first and string last."""
        for path, node in nodes(inlined(file)):
            names = types(node)
            assert set(names) <= TYPES, path
            assert "null" not in names[1:], path
            assert "string" not in names[:-1], path
            assert "format" not in node or names[-1] == "string", path

    def test_keys(self, file: str) -> None:
        """Only key properties are not nullable."""
        keys = KEYS[file]
        properties = inlined(file)["properties"]
        assert {name for name, node in properties.items() if "null" not in types(node)} == keys
        for path, node in nodes(written(file)):
            if path not in keys and not path.endswith("[]"):
                assert node["type"][0] == "null", path

    def test_arrays(self, file: str) -> None:
        """An array declares the type of its items."""
        for path, node in nodes(inlined(file)):
            assert ("array" in types(node)) == ("items" in node), path

    def test_objects(self, file: str) -> None:
        """A nested object lists its fixed attributes and allows additional ones."""
        for path, node in nodes(written(file)):
            if "object" in node.get("type", ()):
                assert node["additionalProperties"] is True, path

    def test_one_type(self, file: str) -> None:
        """A value has one type besides null, as typed targets such as BigQuery require."""
        for path, node in nodes(inlined(file)):
            assert len({*types(node)} - {"null"}) == 1, path


def test_resource_type() -> None:
    """Every record with an id has a type."""
    for file in (file for file in FILES if "id" in KEYS[file]):
        assert inlined(file)["properties"]["type"]["type"] == ["null", "string"], file


@pytest.mark.parametrize(("file", "path"), FREE_FORM)
def test_free_form(file: str, path: str) -> None:
    """Free-form objects have no fixed attributes."""
    node = dict(nodes(inlined(file)))[path]
    assert "properties" not in node


def written_nodes(document: Any) -> Iterator[dict[str, Any]]:
    """Yields each object of a JSON document."""
    if isinstance(document, dict):
        yield document
    for child in document.values() if isinstance(document, dict) else document:
        if isinstance(child, (dict, list)):
            yield from written_nodes(child)


@pytest.mark.parametrize(
    "document",
    [
        *(pytest.param(written(file), id=file) for file in FILES),
        *(
            pytest.param(entry["schema"], id=f"catalog: {entry['stream']}")
            for registry in REGISTRIES.values()
            for entry in build_catalog(registry.streams)["streams"]
        ),
    ],
)
def test_no_empty_properties(document: dict[str, Any]) -> None:
    """A free-form object has no `properties`: targets that flatten drop an object with none."""
    assert all(node.get("properties", True) for node in written_nodes(document))


@pytest.mark.parametrize(
    ("file", "word", "path"),
    [
        (file, word, path)
        for file, words in SINGER_IO.items()
        for word, paths in words.items()
        for path in paths.split()
    ],
)
def test_superset(file: str, word: str, path: str) -> None:
    """Each attribute of singer-io's tap exists with the same type."""
    node = dict(nodes(inlined(file)))[path]
    if word == "date-time":
        assert node["format"] == word
    else:
        assert [name for name in types(node) if name != "null"] == [word]
