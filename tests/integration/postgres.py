"""A PostgreSQL server on loopback for the duration of the tests."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER = "tap"
_TIMEOUT = 60


@dataclass(frozen=True)
class Database:
    """One database of a running server; `USER` connects without a password."""

    programs: Path
    port: int
    name: str

    @property
    def address(self) -> str:
        """User, host, port and name, as in a URL after `postgresql://`."""
        return f"{USER}@127.0.0.1:{self.port}/{self.name}"

    def rows(self, schema: str, table: str) -> list[dict[str, Any]]:
        """All rows of a table as JSON; dates with a time zone are in UTC."""
        return self.tables(schema, [table])[table]

    def tables(self, schema: str, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """The same for several tables, in one session."""
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        query = " union all ".join(
            f"""select '{name}' || chr(9) || row_to_json(t) from "{schema}"."{name}" t"""
            for name in rows
        )
        # Not splitlines(), because JSON may contain other separators of lines as they are.
        for line in self.execute(query).split("\n")[:-1]:
            name, _, row = line.partition("\t")
            rows[name].append(json.loads(row))
        return rows

    def keys(self, schema: str) -> dict[str, list[str]]:
        """The columns of the primary key of each table that has one, in their order."""
        query = f"""
            select relname, json_agg(attname order by place)
            from pg_constraint
            join pg_class on pg_class.oid = conrelid
            cross join unnest(conkey) with ordinality key (attribute, place)
            join pg_attribute on attrelid = conrelid and attnum = attribute
            where contype = 'p' and connamespace = '{schema}'::regnamespace
            group by 1
        """
        lines = self.execute(query).splitlines()
        return {table: json.loads(key) for table, key in (line.split("|") for line in lines)}

    def execute(self, query: str, time_zone: str = "UTC") -> str:
        """Runs a query in a session of a time zone; returns one line for each row."""
        return subprocess.run(
            [
                *(str(self.programs / "psql"), "--no-psqlrc", "--tuples-only", "--no-align"),
                *("--host=127.0.0.1", f"--port={self.port}", f"--username={USER}"),
                *(f"--dbname={self.name}", "--set=ON_ERROR_STOP=1", f"--command={query}"),
            ],
            env={"PGTZ": time_zone, "PGCLIENTENCODING": "UTF8"},
            check=True,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        ).stdout


@dataclass(frozen=True)
class Server:
    """A running server."""

    programs: Path
    port: int

    def database(self, name: str, time_zone: str = "Europe/Berlin") -> Database:
        """Creates an empty database, whose sessions have a time zone unless they set another."""
        database = Database(self.programs, self.port, name)
        Database(self.programs, self.port, "postgres").execute(f'create database "{name}"')
        database.execute(f"alter database \"{name}\" set timezone to '{time_zone}'")
        return database


def find_programs() -> Path | None:
    """Finds PostgreSQL's programs, which Debian does not put on the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    return Path(found).resolve().parent if found else None


@contextmanager
def serving(programs: Path) -> Iterator[Server]:
    """Starts a server with an empty cluster, and stops it at the end."""
    # Not a folder of pytest: the server does not run as root and cannot read those.
    with tempfile.TemporaryDirectory() as name:
        folder, owner = Path(name), _unprivileged()
        if owner:
            os.chown(folder, owner.pw_uid, owner.pw_gid)

        def run_program(program: str, *arguments: str) -> None:
            log = folder / f"{program}.log"
            # A file, not a pipe: the server inherits it and would keep the pipe open.
            with log.open("ab") as out:
                done = subprocess.run(
                    [programs / program, f"--pgdata={folder / 'data'}", *arguments],
                    cwd=folder,
                    stdout=out,
                    stderr=out,
                    timeout=_TIMEOUT,
                    check=False,
                    user=owner.pw_uid if owner else None,
                    group=owner.pw_gid if owner else None,
                    extra_groups=[] if owner else None,
                )
            assert done.returncode == 0, log.read_text()

        port = free_port()
        # A target has up to 15 connections.
        options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off -c max_connections=300"
        run_program(
            "initdb", f"--username={USER}", "--auth=trust", "--encoding=UTF8", "--no-locale"
        )
        run_program("pg_ctl", "start", "--wait", f"--options={options}")
        try:
            yield Server(programs, port)
        finally:
            run_program("pg_ctl", "stop", "--wait", "--mode=immediate")


def _unprivileged() -> pwd.struct_passwd | None:
    """The user that runs the server instead of root; None if we are not root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def free_port() -> int:
    """A port of loopback that no server listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
