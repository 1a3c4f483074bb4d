"""The examples of docs/library.md run as they stand, on a sandbox account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Account, Sandbox
from tap_klaviyo import Tap

LIBRARY = (Path(__file__).parent.parent / "docs" / "library.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", LIBRARY, flags=re.S)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A small account."""
    with Sandbox(Account.seeded(seed=3, events=300)) as box:
        yield box


@pytest.fixture
def pointed_at_the_sandbox(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """``Tap`` talks to the sandbox, whatever key its settings have."""

    class SandboxTap(Tap):
        def __init__(self, config: dict[str, Any], *documents: Any, **options: Any) -> None:
            own = {"api_key": box.key, "base_url": box.url}
            super().__init__({**config, **own}, *documents, **options)

    monkeypatch.setattr("tap_klaviyo.tap.Tap", SandboxTap)


@pytest.mark.usefixtures("pointed_at_the_sandbox")
def test_the_examples_run(
    box: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One after the other, as in a notebook, they print what they say."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(compile(example, "docs/library.md", "exec"), names)
    shown = capsys.readouterr().out
    assert len(names["profiles"]) > 100
    assert f"{len(names['profiles'])} profiles, the first one with ['created'" in shown
    assert f"{len(box.account.ids('list'))} lists" in shown
    assert "receive complete" in shown
    assert "ok receive" in shown
    assert "open Opened Email " in shown
    assert len(names["first"]) == 5
    assert names["last_state"]["currently_syncing"] is None
    assert names["summary"].complete


def test_the_tree_of_errors_is_that_of_the_code() -> None:
    """The tree in the document is the one in the docstring of the module."""
    import tap_klaviyo.errors as errors

    tree = re.search(r"```text\n(.*?)```", LIBRARY, flags=re.S)
    assert tree is not None
    docstring = re.sub(r"^    ", "", errors.__doc__ or "", flags=re.M)
    assert tree[1] in docstring
