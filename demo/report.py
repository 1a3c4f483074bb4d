"""What the demo shows at its end: rows, a chart, and where to go on."""

from __future__ import annotations

from pathlib import Path

import duckdb
import plotext
from rich.console import Console
from rich.table import Table
from rich.text import Text

DAYS = 45
WIDTH = 78
HEIGHT = 14

QUERY = """\
select profile->0->>'email' as email, count(*) as opens
from open where email is not null group by all order by opens desc limit 5"""


def report(
    console: Console, folder: Path, before: dict[str, int], after: dict[str, int], seconds: float
) -> None:
    """Prints the rows of each table, the opens and clicks of each day, and a query to try."""
    database = folder / "klaviyo.duckdb"
    console.print()
    console.print(_rows(before, after))
    with duckdb.connect(str(database), read_only=True) as connection:
        console.print(Text.from_ansi(_chart(connection)))
        console.print("\n[bold]One query to try:[/]\n" + QUERY, highlight=False)
        connection.execute(QUERY)
        answer = Table(*[column[0] for column in connection.description or ()], box=None)
        for row in connection.fetchall():
            answer.add_row(*map(str, row))
        console.print(answer)
    console.print(f"\n[bold]The database:[/] {database}", soft_wrap=True, highlight=False)
    first, second = sum(before.values()), sum(after.values())
    console.print(
        f"{first:,} rows from nothing and {second - first:,} more in a second sync, "
        f"in {seconds:.0f} seconds."
    )


def _rows(before: dict[str, int], after: dict[str, int]) -> Table:
    table = Table("table", title="Rows after two syncs", title_style="bold")
    table.add_column("rows", justify="right")
    table.add_column("of them new", justify="right")
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
    plotext.title(f"Opens and clicks a day, last {DAYS} days")
    chart: str = plotext.build()
    return chart
