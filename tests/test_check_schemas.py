"""The tool that compares the schemas with the models of Klaviyo's client."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tools import check_schemas

ROOT = Path(__file__).resolve().parent.parent
FILES = len(list((ROOT / "schemas").glob("*.json")))


def test_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    """The schemas agree with the models of Klaviyo's client; the tool prints one line."""
    assert check_schemas.main() == 0
    assert capsys.readouterr().out == f"{FILES} schemas agree with klaviyo-api 24.0.0\n"


NULLABLE = ["null", "string"]


@pytest.mark.parametrize(
    ("file", "path", "node", "line"),
    [
        pytest.param(
            "event.json", "uuid", None, "uuid is absent, should be string", id="removed attribute"
        ),
        pytest.param(
            "subscriptions.json",
            "sms.marketing.consent",
            None,
            "sms.marketing.consent is absent, should be string",
            id="removed nested attribute",
        ),
        pytest.param(
            "tag.json",
            "colour",
            {"type": NULLABLE},
            "colour is string, should be absent",
            id="unknown attribute",
        ),
        pytest.param(
            "event.json",
            "timestamp",
            {"type": NULLABLE},
            "timestamp is string, should be integer",
            id="wrong type",
        ),
        pytest.param(
            "campaign.json",
            "archived",
            {"type": ["null", "integer"]},
            "archived is integer, should be boolean",
            id="wrong type of a boolean",
        ),
        pytest.param(
            "predictive_analytics.json",
            "total_clv",
            {"type": ["null", "integer"]},
            "total_clv is integer, should be number",
            id="wrong type of a number",
        ),
        pytest.param(
            "predictive_analytics.json",
            "ranked_channel_affinity",
            {"type": ["null", "array"], "items": {"type": ["null", "integer"]}},
            "ranked_channel_affinity[] is integer, should be string",
            id="wrong type of elements",
        ),
        pytest.param(
            "list.json",
            "created",
            {"type": NULLABLE},
            "created is string, should be date-time",
            id="missing format",
        ),
        pytest.param(
            "tag.json",
            "name",
            {"type": "string"},
            "name is string!, should be string",
            id="not nullable",
        ),
        pytest.param(
            "profile.json",
            "id",
            {"type": NULLABLE},
            "id is string, should be string!",
            id="nullable key",
        ),
        pytest.param(
            "event.json",
            "event_properties",
            {"type": ["null", "object"], "properties": {"$value": {"type": ["null", "number"]}}},
            "event_properties is object, should be free-form",
            id="attributes in a free-form object",
        ),
        pytest.param(
            "campaign_values_report.json",
            "text_message_roi",
            None,
            "text_message_roi is absent, should be number",
            id="removed statistic",
        ),
        pytest.param(
            "flow_series_report.json",
            "variation",
            None,
            "variation is absent, should be string",
            id="removed grouping",
        ),
        pytest.param(
            "form_values_report.json",
            "smiles",
            {"type": ["null", "number"]},
            "smiles is number, should be absent",
            id="unknown statistic",
        ),
        pytest.param(
            "list_member.json",
            "email",
            None,
            "email is absent, should be string",
            id="removed attribute of a record with a few of them",
        ),
        pytest.param(
            "campaign.json",
            "send_strategy",
            {"type": ["null", "object"], "properties": {}},
            "send_strategy is free-form, should be object",
            id="union without attributes",
        ),
    ],
)
def test_difference(file: str, path: str, node: dict[str, Any] | None, line: str) -> None:
    """The tool names each attribute that differs between a schema and the client."""
    schema = check_schemas.load(file)
    *parents, name = path.split(".")
    properties = schema["properties"]
    for step in parents:
        properties = properties[step]["properties"]
    if node is None:
        del properties[name]
    else:
        properties[name] = node
    assert f"{file}: {line}" in check_schemas.differences(file, schema)


def test_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tool fails on a difference, an unknown schema and a missing schema."""
    folder = shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    tag = folder / "tag.json"
    tag.write_text(tag.read_text("utf-8").replace('"name"', '"text"'), "utf-8")
    (folder / "list.json").rename(folder / "other.json")
    assert check_schemas.main(folder) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "other.json: no row describes it" in lines
    assert "list.json: there is no such file" in lines
    assert "tag.json: name is absent, should be string" in lines
    assert "tag.json: text is string, should be absent" in lines
