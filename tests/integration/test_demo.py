"""The demo prints its results and leaves no process running."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
from external_programs import CHECKOUT, run
from log_lines import log_lines
from sandbox_account import KEY_OF

from demo.__main__ import EXTRA_STREAMS, OWN_STREAMS
from tools.record_demo import record, screen

_TABLES = (*KEY_OF, *OWN_STREAMS, *EXTRA_STREAMS)
_ROW = re.compile(r"│ (\w+) +│ +([\d,]+) │ +(?:\+([\d,]+) )?│")


def _number(text: str) -> int:
    return int(text.replace(",", "") or 0)


def test_demo(environment: Callable[[str], Path], tmp_path: Path) -> None:
    """The output has the rows of every table, the new rows, the chart and the query result."""
    target = environment("target-jsonl") / "target-jsonl"
    folder = tmp_path / "demo"
    options = ("--target", target, "--events", "2000", "--folder", folder)
    output = run(sys.executable, "-m", "demo", *options, cwd=CHECKOUT).stdout
    shown = {table: (_number(rows), _number(new)) for table, rows, new in _ROW.findall(output)}
    with duckdb.connect(str(folder / "klaviyo.duckdb"), read_only=True) as database:
        counted = {
            table: database.execute(f'select count(*) from "{table}"').fetchall()[0][0]
            for table in _TABLES
        }
    assert shown.pop("total") == (sum(counted.values()), 233)
    assert {table: rows for table, (rows, _) in shown.items()} == counted
    assert all(counted.values())
    new = {table: added for table, (_, added) in shown.items() if added}
    assert new == {"open": 180, "click": 50, "unsubscribe": 3}
    assert "Opens and clicks per day" in output
    assert "How did each email campaign do?" in output
    assert re.search(r"│ email campaign \d.*│ +\d+ │ +\d+ │ +\d+ │ +\d+ │ +[\d.]+ │", output)
    assert (CHECKOUT / "docs/sql/campaign_funnel.sql").exists()
    assert "docs/sql/campaign_funnel.sql" in output
    assert all(len(line) <= 80 for line in output.splitlines() if str(folder) not in line)
    assert str(folder / "klaviyo.duckdb") in output


def test_terminal(environment: Callable[[str], Path], tmp_path: Path) -> None:
    """A terminal shows the progress bars without a log line, and each line once."""
    target = environment("target-jsonl") / "target-jsonl"
    command = (sys.executable, "-m", "demo", "--target", str(target), "--events", "500")
    text, code = record((*command, "--folder", str(tmp_path / "demo")))
    assert code == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in screen(text.decode())]
    assert lines[0].startswith("Sandbox: Klaviyo's API is simulated at ")
    assert not log_lines("\n".join(lines))
    assert sum("✓ global_exclusions" in line for line in lines) == 2
    assert all(len(line) <= 100 for line in lines if str(tmp_path) not in line)


def test_failing_target(tmp_path: Path) -> None:
    """If the target fails, the demo fails, prints the path of the log and stops the sandbox."""
    options = ("--target", "false", "--events", "500", "--folder", tmp_path)
    done = run(sys.executable, "-m", "demo", *options, cwd=CHECKOUT, code=1)
    assert "The sync failed" in done.stderr
    assert str(tmp_path / "tap.log") in done.stderr
