"""Whatever is logged holds no secret, and cannot forge a line or drive a terminal."""

from __future__ import annotations

import ast
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.network_settings import hide_proxy_passwords
from tap_klaviyo.logs import LIBRARIES, get_logger, redact_handlers
from tap_klaviyo.redaction import clean

PACKAGE = Path(__file__).parent.parent / "tap_klaviyo"
KEY = "pk_log_0123456789abcdef"
Secret(KEY)

FORGED = {
    "a line end": ("a\nCRITICAL b", r"a\nCRITICAL b"),
    "a carriage return": ("a\rb", r"a\rb"),
    "ESC": ("\x1b[2J", r"\x1b[2J"),
    "BEL": ("\a", r"\x07"),
    "a C1 control": ("\x9b31m", r"\x9b31m"),
    "a bidirectional override": ("\u202eabc", r"\u202eabc"),
    "an isolate": ("\u2066abc", r"\u2066abc"),
    "a line separator": ("a\u2028b", r"a\u2028b"),
    "a lone surrogate": ("\ud800", r"\ud800"),
    "the key": (f"x{KEY}x", "x***x"),
    "a URL with a password": ("https://me:word@host/", "https://***@host/"),
}
each_text = pytest.mark.parametrize(("text", "shown"), FORGED.values(), ids=FORGED.keys())


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What a handler of a program that uses the library writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("name", ["tap_klaviyo.klaviyo.client", "tap_klaviyo.new", *LIBRARIES])
@each_text
def test_messages(output: io.StringIO, name: str, text: str, shown: str) -> None:
    """A message of the tap or of a library that quotes servers is one harmless line."""
    get_logger(name) if name not in LIBRARIES else None
    logging.getLogger(name).warning("100 %% of %s", text)
    assert output.getvalue() == f"100 % of {shown}\n"


@each_text
def test_tracebacks(output: io.StringIO, text: str, shown: str) -> None:
    """No line of a traceback looks like a log line, and none holds a secret."""
    try:
        raise ValueError(text)
    except ValueError:
        get_logger("tap_klaviyo.new").exception("It failed.")
    message, *traceback = output.getvalue().splitlines()
    assert message == "It failed."
    assert traceback[0].startswith("Traceback")
    assert all(line.startswith("    ") for line in traceback[1:])
    assert all(line.isprintable() for line in traceback)
    assert KEY not in output.getvalue()


@each_text
def test_errors(text: str, shown: str) -> None:
    """The text of an error, which a program may print, is one harmless line."""
    assert str(TapError(text)).isprintable()
    assert KEY not in str(TapError("x" * 990 + text))
    assert clean(text) == shown


def test_handlers_of_the_command(output: io.StringIO) -> None:
    """What any library logs passes the handlers of the command."""
    redact_handlers()
    logging.getLogger("some.library").error("%s", f"{KEY}\x1b")
    assert output.getvalue() == "***\\x1b\n"


@pytest.mark.parametrize(
    "proxy",
    ["http://me:sec%23ret@proxy:80", "me:sec%23ret@proxy:80", "http://me:sec%23ret@p:99999"],
)
def test_passwords_of_proxies(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The password of a proxy is hidden as it was written, decoded and in a header."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    hide_proxy_passwords()
    for text in ("sec%23ret", "sec#ret", "bWU6c2VjI3JldA=="):
        assert clean(f"a {text} b") == "a *** b"


def test_no_logger_is_forgotten() -> None:
    """Each module gets its logger from the module that redacts."""
    for file in set(PACKAGE.rglob("*.py")) - {PACKAGE / "logs.py"}:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("getLogger"):
                assert not node.args, f"{file}: use logs.get_logger"
            assert not (isinstance(node, ast.ImportFrom) and node.module == "logging"), file
