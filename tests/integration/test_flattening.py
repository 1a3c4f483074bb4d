"""Targets that flatten nested objects keep the free-form ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from external_programs import TAP, pipe
from postgres import Server
from sandbox_account import SandboxAccount
from targets import DATABASES, FLATTENING

FREE_FORM = {
    "open": "event_properties",
    "profiles": "properties",
    "metrics": "integration",
    "segments": "definition",
}


@pytest.mark.parametrize(
    "name",
    [
        "meltanolabs-postgres",
        pytest.param(
            "pipelinewise-postgres",
            marks=pytest.mark.xfail(
                strict=True, reason="flattens every record by its values; docs/targets.md says so"
            ),
        ),
    ],
)
def test_free_form_objects_are_kept(
    environment: Callable[[str], Path],
    postgres: Server,
    klaviyo: SandboxAccount,
    tmp_path: Path,
    name: str,
) -> None:
    """A free-form object is one column, which holds what the tap wrote."""
    target = DATABASES[name](postgres.database(f"flattened-{name}"))
    (tmp_path / "target.json").write_text(json.dumps({**target.settings, **FLATTENING[name]}))
    klaviyo.write_files(tmp_path, *FREE_FORM)
    tap = (TAP, "--config=config.json", "--catalog=catalog.json")
    command = environment(target.environment) / target.executable
    pipe(
        *(tap, ("tee", "messages.jsonl"), (command, "--config=target.json")),
        cwd=tmp_path,
        environment=target.variables,
    )
    written: dict[str, dict[str, Any]] = {stream: {} for stream in FREE_FORM}
    for line in (tmp_path / "messages.jsonl").read_text().splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD":
            record, stream = message["record"], message["stream"]
            written[stream][record["id"]] = record.get(FREE_FORM[stream])
    for stream, column in FREE_FORM.items():
        stored = {row["id"]: _decoded(row[column]) for row in target.rows(stream)}
        # Not the objects themselves, whose difference would be shown at length.
        different = [id for id in stored | written[stream] if stored.get(id) != written[stream][id]]
        assert len(different) == 0, f"{len(different)} of {len(stored)} rows of {stream}"
        assert any(stored.values()), stream


def _decoded(value: Any) -> Any:
    """A stored object; one that a target stores as text is decoded."""
    return json.loads(value) if isinstance(value, str) else value
