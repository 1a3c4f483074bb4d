"""The demo prints its results and leaves no process running."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
from external_programs import CHECKOUT, run
from sandbox_account import KEY_OF

from demo.__main__ import EXTRA_STREAMS, OWN_STREAMS

_TABLES = (*KEY_OF, *OWN_STREAMS, *EXTRA_STREAMS)
_ROW = re.compile(r"│ (\w+) +│ +([\d,]+) │ +(?:\+([\d,]+) )?│")


def test_demo(environment: Callable[[str], Path], tmp_path: Path) -> None:
    """The output has the rows of every table, the new rows, the chart and the query result."""
    target = environment("target-jsonl") / "target-jsonl"
    folder = tmp_path / "demo"
    options = ("--target", target, "--events", "2000", "--folder", folder)
    screen = run(sys.executable, "-m", "demo", *options, cwd=CHECKOUT).stdout
    shown = {table: (int(rows), int(new or 0)) for table, rows, new in _ROW.findall(screen)}
    with duckdb.connect(str(folder / "klaviyo.duckdb"), read_only=True) as database:
        counted = {
            table: database.execute(f'select count(*) from "{table}"').fetchall()[0][0]
            for table in _TABLES
        }
    assert {table: rows for table, (rows, _) in shown.items()} == counted
    assert all(counted.values())
    new = {table: added for table, (_, added) in shown.items() if added}
    assert new == {"open": 180, "click": 50, "unsubscribe": 3}
    assert "Opens and clicks per day" in screen
    assert "How did each email campaign do?" in screen
    assert re.search(r"│ email campaign \d.*│ +\d+ │ +\d+ │ +\d+ │ +\d+ │ +[\d.]+ │", screen)
    assert (CHECKOUT / "docs/sql/campaign_funnel.sql").exists()
    assert "docs/sql/campaign_funnel.sql" in screen
    assert all(len(line) <= 80 for line in screen.splitlines() if str(folder) not in line)
    assert str(folder / "klaviyo.duckdb") in screen


def test_failing_target(tmp_path: Path) -> None:
    """If the target fails, the demo fails, prints the path of the log and stops the sandbox."""
    options = ("--target", "false", "--events", "500", "--folder", tmp_path)
    done = run(sys.executable, "-m", "demo", *options, cwd=CHECKOUT, code=1)
    assert "The sync failed" in done.stderr
    assert str(tmp_path / "tap.log") in done.stderr
