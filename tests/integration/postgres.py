"""A PostgreSQL server on loopback that lives as long as the tests."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER = "tap"
_TIMEOUT = 60


@dataclass(frozen=True)
class Database:
    """One database of a running server; anybody on this machine may connect as `USER`."""

    programs: Path
    port: int
    name: str

    def rows(self, schema: str, table: str) -> list[dict[str, Any]]:
        """All rows of a table, as JSON has them; dates with a zone come in UTC."""
        query = f'select row_to_json(t) from "{schema}"."{table}" t'
        return [json.loads(line) for line in self.ask(query).splitlines()]

    def ask(self, query: str) -> str:
        """The answer to a query, a line for each row."""
        return subprocess.run(
            [
                *(str(self.programs / "psql"), "--no-psqlrc", "--tuples-only", "--no-align"),
                *("--host=127.0.0.1", f"--port={self.port}", f"--username={USER}"),
                *(f"--dbname={self.name}", "--set=ON_ERROR_STOP=1", f"--command={query}"),
            ],
            env={"PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"},
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

    def database(self, name: str) -> Database:
        """Make an empty database."""
        Database(self.programs, self.port, "postgres").ask(f'create database "{name}"')
        return Database(self.programs, self.port, name)


def find_programs() -> Path | None:
    """The folder of PostgreSQL's programs; Debian does not put them on the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    return Path(found).resolve().parent if found else None


@contextmanager
def serving(programs: Path) -> Iterator[Server]:
    """Start a server with an empty cluster, and stop it in the end."""
    # Not one of pytest's folders: the server, which refuses to be root, could not look into them.
    with tempfile.TemporaryDirectory() as name:
        folder, owner = Path(name), _unprivileged()
        if owner:
            os.chown(folder, owner.pw_uid, owner.pw_gid)

        def ask(program: str, *arguments: str) -> None:
            log = folder / f"{program}.log"
            # To a file, not a pipe: the server inherits it and would hold a pipe open.
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

        port = _free_port()
        options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
        ask("initdb", f"--username={USER}", "--auth=trust", "--encoding=UTF8", "--no-locale")
        ask("pg_ctl", "start", "--wait", f"--options={options}")
        try:
            yield Server(programs, port)
        finally:
            ask("pg_ctl", "stop", "--wait", "--mode=immediate")


def _unprivileged() -> pwd.struct_passwd | None:
    """Who shall run the server in the place of root; None if we are not root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
