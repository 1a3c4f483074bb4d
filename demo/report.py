"""The report of the demo: row counts, a chart, a query result and the database path."""

from __future__ import annotations

from pathlib import Path

import duckdb
import plotext
from rich.console import Console
from rich.table import Table
from rich.text import Text

DAYS = 30
WIDTH = 78
HEIGHT = 14

QUERIES = Path(__file__).resolve().parent.parent / "docs" / "sql"
COLUMNS = ("campaign", "sent", "delivered", "opened", "clicked", "open_rate")
MAX_ROWS = 6


def report(
    console: Console, folder: Path, before: dict[str, int], after: dict[str, int], seconds: float
) -> None:
    """Prints the rows of each table, a chart of opens and clicks, and the result of a query."""
    database = folder / "klaviyo.duckdb"
    console.print()
    console.print(_rows(before, after))
    with duckdb.connect(str(database), read_only=True) as connection:
        console.print()
        console.print(Text.from_ansi(_chart(connection)))
        console.print()
        console.print(_campaigns(connection))
    console.print(
        "[bold]Query:[/] docs/sql/campaign_funnel.sql (more queries: docs/sql)", highlight=False
    )
    console.print(f"[bold]Database:[/] {database}", soft_wrap=True, highlight=False)
    first, second = sum(before.values()), sum(after.values())
    console.print(
        f"[bold]Result:[/] {first:,} rows in the first sync, {second - first:,} more in the "
        f"second, {seconds:.0f} s in total",
        highlight=False,
    )


def _rows(before: dict[str, int], after: dict[str, int]) -> Table:
    rows, old = sum(after.values()), sum(before.values())
    table = Table(title="Rows after the second sync", title_style="bold", show_footer=True)
    table.add_column("table", "total")
    table.add_column("rows", f"{rows:,}", justify="right")
    table.add_column("new", f"[green]+{rows - old:,}[/]", justify="right")
    for name, rows in after.items():
        new = rows - before.get(name, 0)
        table.add_row(name, f"{rows:,}", f"[green]+{new:,}[/]" if new else "")
    return table


def _chart(connection: duckdb.DuckDBPyConnection) -> str:
    days = connection.execute(
        f"""
        with days as (select unnest(range(current_date - {DAYS}, current_date + 1,
                                          interval 1 day))::date as day)
        select day,
               (select count(*) from open where datetime::date = day),
               (select count(*) from click where datetime::date = day)
        from days order by day
        """
    ).fetchall()
    plotext.clear_figure()
    plotext.date_form("Y-m-d")
    plotext.plotsize(WIDTH, HEIGHT)
    plotext.theme("pro")
    labels = [str(day) for day, _, _ in days]
    plotext.plot(labels, [opens for _, opens, _ in days], label="opens")
    plotext.plot(labels, [clicks for _, _, clicks in days], label="clicks")
    plotext.yticks(_ticks(max(opens for _, opens, _ in days)))
    plotext.title(f"Opens and clicks per day, last {DAYS} days")
    chart: str = plotext.build()
    return chart.rstrip()


def _ticks(maximum: int) -> list[int]:
    """About four round numbers from 0 to ``maximum``."""
    digits = 10 ** (len(str(maximum // 4)) - 1)
    step = max(1, -(-maximum // (4 * digits)) * digits)
    return list(range(0, maximum + 1, step))


def _campaigns(connection: duckdb.DuckDBPyConnection) -> Table:
    """The newest rows of campaign_funnel.sql, titled with the first line of the query."""
    query = (QUERIES / "campaign_funnel.sql").read_text()
    title = query.splitlines()[0].removeprefix("-- ")
    result = connection.execute(query)
    columns = [column[0] for column in result.description or ()]
    table = Table(title=title, title_style="bold", width=WIDTH)
    for name in COLUMNS:
        header = name.replace("open_rate", "opened %").replace("_", " ")
        if name == "campaign":
            table.add_column(header, no_wrap=True, ratio=1)
        else:
            table.add_column(header, justify="right")
    for row in result.fetchmany(MAX_ROWS):
        table.add_row(*(str(row[columns.index(name)]) for name in COLUMNS))
    return table
