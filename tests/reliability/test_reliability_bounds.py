"""Whatever a server sends, memory and time are bounded: with the real command on real sockets."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.errors import RetryableError
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.response import MAX_BODY, Body

LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="L")
MOST_MEMORY = 300 * 2**20
STREAMS = ("profiles", "lists", "segments", "templates", "campaigns", "flows", "tags", "images")
Configure = Callable[..., Config]

MEASURED = """
import sys
from tap_klaviyo.cli import main
code = main(sys.argv[1:])
print(*(line for line in open("/proc/self/status") if "VmHWM" in line), end="", file=sys.stderr)
sys.exit(code)
"""
"""Runs the command and shows its peak memory. That of getrusage begins with the parent's."""

LONG_TEXT = "x" * (MAX_BODY - 200)


def page_of(value: str) -> str:
    """A page with one profile that has a free-form value."""
    before = '{"data":[{"type":"profile","id":"a","attributes":{"properties":{"p":'
    return before + value + "}}}]}"


def repeated(piece: str, before: str = '{"data":[', after: str = "]}", size: int = MAX_BODY) -> str:
    """A document of at most ``size`` bytes with as many pieces as fit."""
    count = (size - len(before) - len(after)) // (len(piece) + 1)
    return before + ",".join([piece] * count) + after


BODIES: dict[str, Callable[[], str]] = {
    "empty resources": lambda: repeated("{}"),
    "some empty resources": lambda: repeated("{}", size=2**19),
    "resources with an ID": lambda: repeated('{"id":"a"}'),
    "as many values as are allowed": lambda: repeated('{"id":"a"}', size=2**21),
    "deep arrays": lambda: "[" * MAX_BODY,
    "deep objects": lambda: '{"a":' * (MAX_BODY // 5),
    "as deep as is allowed": lambda: page_of("[" * 390_000 + "]" * 390_000),
    "many deep arrays": lambda: repeated("[" * 400 + "]" * 400),
    "keys": lambda: page_of(
        "{" + ",".join(f'"{number:x}":{number}' for number in range(390_000)) + "}"
    ),
    "numbers": lambda: repeated("0", '{"data":[{"id":"a","attributes":{"properties":[', "]}}]}"),
    "empty texts": lambda: repeated('""', '{"data":[],"included":[', "]}", size=790_000),
    "one text": lambda: page_of('"' + LONG_TEXT + '"'),
    "a lone surrogate": lambda: page_of(r'"\ud800' + LONG_TEXT + '"'),
    "a text beyond the BMP": lambda: page_of(r'"\ud800😀' + LONG_TEXT + '"'),
    "beyond the limit": lambda: " " * (2**26),
}


@pytest.fixture
def hostile() -> Iterator[Callable[[bytes, bytes], str]]:
    """Starts a server that answers every request with a head and a body."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    with closing(listening):

        def answer(connection: socket.socket, data: bytes) -> None:
            with connection, closing(connection.makefile("rb")) as lines:
                while lines.readline().strip():
                    pass
                connection.sendall(data)

        def accept(data: bytes) -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection, data), daemon=True).start()

        def start(head: bytes, body: bytes) -> str:
            data = b"%s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body)
            threading.Thread(target=accept, args=(data,), daemon=True).start()
            return f"http://127.0.0.1:{listening.getsockname()[1]}"

        yield start


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_memory_is_bounded(
    hostile: Callable[[bytes, bytes], str], tmp_path: Path, body: Callable[[], str]
) -> None:
    """No answer makes the command take 300 MB, and each ends with one line."""
    packed = gzip.compress(body().encode("utf-8", "surrogatepass"), 1)
    url = hostile(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip", packed)
    entries = [one for one in build_catalog()["streams"] if one["tap_stream_id"] in STREAMS]
    for entry in entries:
        entry["metadata"][0]["metadata"]["selected"] = True
    settings = {"api_key": "pk_0", "start_date": "2026-01-01", "base_url": url, "max_retry_wait": 0}
    command = [sys.executable, "-c", MEASURED]
    for name, content in {"config": settings, "catalog": {"streams": entries}}.items():
        (tmp_path / name).write_text(json.dumps(content))
        command += [f"--{name}", str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    *_, last, peak = done.stderr.splitlines()
    assert done.returncode in (0, 1, 3)
    assert "Internal error" not in last
    assert int(peak.split()[1]) * 1024 < MOST_MEMORY, peak


def dripping(pieces: list[bytes], pause: float) -> Iterator[str]:
    """A server that sends its pieces with a pause before each."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                    for piece in pieces:
                        time.sleep(pause)
                        connection.sendall(piece)
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


DRIPS = {
    "headers": [b"HTTP/1.1 200 OK\r\n", *([b"X-A: b\r\n"] * 500)],
    "the status line": [bytes([byte]) for byte in b"HTTP/1.1 200 " + b"O" * 500],
    "chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *([b"1\r\n \r\n"] * 500)],
    "a body without a length": [b"HTTP/1.1 200 OK\r\n\r\n", *([b" "] * 500)],
}


@pytest.mark.parametrize("pieces", DRIPS.values(), ids=DRIPS.keys())
def test_an_answer_that_drips(configure: Configure, pieces: list[bytes]) -> None:
    """request_timeout bounds the whole exchange, however small the pieces are."""
    for url in dripping(pieces, 0.02):
        client = client_for(configure(base_url=url, request_timeout=0.2, max_retry_wait=0))
        started = time.monotonic()
        with pytest.raises(RetryableError, match="the answer takes too long"):
            client.request("/api/lists", LISTS, lambda body: json.loads(body.decompressed()))
        assert time.monotonic() - started < 3
        client.close()


MEMBERS: dict[str, tuple[bytes, Any]] = {
    "one member": (gzip.compress(b"[1, 2]"), [1, 2]),
    "two members": (gzip.compress(b"[1,") + gzip.compress(b" 2]"), [1, 2]),
    "an empty member": (gzip.compress(b"") + gzip.compress(b"[1]") + gzip.compress(b""), [1]),
    "1,000 members": (gzip.compress(b" ") * 1000 + gzip.compress(b"[1]"), [1]),
    "zeros after it": (gzip.compress(b"[1]") + bytes(10), [1]),
    "text after it": (gzip.compress(b"[1]") + b"<html>this is no gzip</html>", None),
    "half a member after it": (gzip.compress(b"[1]") + gzip.compress(b"[1]")[:-9], None),
    "an end too early": (gzip.compress(b"[1]")[:-4], None),
    "a wrong checksum": (gzip.compress(b"[1]")[:-8] + bytes(8), None),
    "no gzip": (b"[1]", None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("raw", "expected"), MEMBERS.values(), ids=MEMBERS.keys())
def test_gzip_of_several_members(raw: bytes, expected: Any) -> None:
    """All members of a gzip body count (RFC 1952); what is no gzip after them is an error."""
    body = Body(raw, gzipped=True)
    if expected is None:
        with pytest.raises(ValueError, match="gzip"):
            body.decompressed()
    else:
        assert json.loads(body.decompressed()) == expected
