"""Whatever is logged holds no secret, and cannot forge a line or drive a terminal."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from log_lines import log_lines

from tap_klaviyo.cli import main
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.network_settings import hide_proxy_passwords
from tap_klaviyo.logs import LIBRARIES, format_handlers, get_logger, log_counter, log_timer
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


@contextmanager
def only_handler() -> Iterator[io.StringIO]:
    """What the one handler of the command writes; those of the tests keep their format."""
    stream, root = io.StringIO(), logging.getLogger()
    before, root.handlers = root.handlers, [logging.StreamHandler(stream)]
    try:
        yield stream
    finally:
        root.handlers = before


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


TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@each_text
def test_handlers_of_the_command(text: str, shown: str) -> None:
    """What any library logs, or warns of, is a harmless line with a time and a level."""
    with only_handler() as output:
        format_handlers("text")
        logging.getLogger("some.library").error("%s", text)
        assert re.fullmatch(f"{TIME} ERROR {re.escape(shown)}\n", output.getvalue())
        warnings.showwarning(UserWarning(text), UserWarning, "file.py", 1)
        last = output.getvalue().splitlines()[-1]
        assert re.match(f"{TIME} WARNING .*UserWarning: {re.escape(shown)}", last)


def test_json() -> None:
    """Each line of the format json is an object, also with a metric or a traceback."""
    with only_handler() as output:
        format_handlers("json")
        logger = get_logger("tap_klaviyo.new")
        logger.setLevel(logging.DEBUG)
        logger.info("%s of\n%s", KEY, "ü\ud800")
        log_counter(logger, "record_count", 7, {"endpoint": "open"})
        log_timer(logger, "http_request_duration", 0.5, {"endpoint": "/api/events"})
        try:
            raise ValueError(KEY)
        except ValueError:
            logger.exception("It failed.")
        lines = list(map(json.loads, output.getvalue().splitlines()))
        assert all(re.fullmatch(TIME, line["time"]) for line in lines)
        assert {line["logger"] for line in lines} == {"tap_klaviyo.new"}
        assert [line["level"] for line in lines] == ["INFO", "INFO", "DEBUG", "ERROR"]
        assert lines[0]["message"] == "*** of\\nü\\ud800"
        counter = {"type": "counter", "metric": "record_count", "value": 7}
        assert lines[1]["metric"] == {**counter, "tags": {"endpoint": "open"}}
        assert json.loads(lines[1]["message"].removeprefix("METRIC: ")) == lines[1]["metric"]
        assert lines[2]["metric"]["type"] == "timer"
        assert "ValueError: ***" in lines[3]["traceback"]
        assert ["metric" in line for line in lines] == [False, True, True, False]


@pytest.mark.parametrize(
    ("settings", "variable", "is_json"),
    [
        ({"log_format": "json"}, "", True),
        ({}, "json", True),
        ({"log_format": "json"}, "text", False),
        ({}, "", False),
    ],
)
def test_the_setting(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    settings: dict[str, str],
    variable: str,
    is_json: bool,
) -> None:
    """The setting log_format decides the form of all lines, warnings of settings included."""
    monkeypatch.setenv("TAP_KLAVIYO_LOG_FORMAT", variable)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"start_date": "2026-01-01", "unknown": 1, **settings}))
    assert main(["-c", str(config)]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("{") == is_json for line in lines)


def test_an_unknown_format(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A wrong value of log_format is an error like any other setting's."""
    config = tmp_path / "config.json"
    config.write_text('{"api_key": "pk_x", "start_date": "2026-01-01", "log_format": ["xml"]}')
    assert main(["-c", str(config)]) == 2
    (line,) = log_lines(capfd.readouterr().err)
    assert line.startswith("CRITICAL config: log_format: expected text or json")


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
