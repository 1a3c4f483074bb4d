"""The examples of docs/library.md in the cells of a real notebook kernel."""

from __future__ import annotations

import json
from pathlib import Path

from external_programs import CHECKOUT, install, run

from sandbox import Account, Sandbox

SCRIPT = Path(__file__).with_name("notebook_cells.py")


def test_cells_of_a_notebook(clone: Path, tmp_path: Path) -> None:
    """Every example runs in a kernel beside its event loop; an interrupt leaves no worker."""
    python = install(tmp_path / "env", clone, "ipykernel", "jupyter_client", "duckdb") / "python"
    with Sandbox(Account.seeded(seed=3, events=300)) as box:
        settings = json.dumps({"api_key": box.key, "base_url": box.url})
        command = (python, SCRIPT, settings, CHECKOUT / "docs" / "library.md")
        shown = run(*command, cwd=tmp_path, timeout=200).stdout
        assert f"{len(box.account.ids('list'))} lists" in shown
    assert "receive complete" in shown
    assert shown.splitlines()[-1] == "workers left: []"
