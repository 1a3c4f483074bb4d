"""The command line: arguments, exit codes, and one line for each kind of error."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from log_lines import log_lines

from sandbox import Sandbox
from tap_klaviyo import __version__
from tap_klaviyo.cli import main
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.klaviyo.rate_limits import RateLimiter
from tap_klaviyo.messages import Writer

KEY = "pk_0123456789abcdef"
LISTS = {"data": [{"type": "list", "id": "L1", "attributes": {"name": "News"}}], "links": {}}
TIMEOUT = 60


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], str]:
    """Writes a file and returns its path; content that is not bytes is written as JSON."""

    def make(name: str, content: Any) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    return make


@pytest.fixture
def klaviyo(serve: Callable[[], Any]) -> Any:
    """A server that answers any request with one list."""
    return serve().answer(json.dumps(LISTS).encode())


def config_for(url: str) -> dict[str, Any]:
    """A valid config for a server."""
    return {"api_key": KEY, "start_date": "2026-01-01", "base_url": url}


def lists_only() -> dict[str, Any]:
    """A catalog with the stream of lists only."""
    entries = build_catalog()["streams"]
    return {"streams": [entry for entry in entries if entry["stream"] == "lists"]}


def messages(text: str) -> list[dict[str, Any]]:
    """Parses Singer messages, one per line."""
    return [json.loads(line) for line in text.splitlines()]


def errors(text: str) -> list[str]:
    """The error lines of stderr, which must not contain a traceback."""
    assert "Traceback" not in text
    return [line for line in log_lines(text) if line.startswith(("CRITICAL", "ERROR"))]


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    """--version works without any other argument."""
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capfd.readouterr().out == f"tap-klaviyo {__version__}\n"


def test_help(capfd: pytest.CaptureFixture[str]) -> None:
    """--help lists every option, a first sync and the environment variables."""
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    shown = capfd.readouterr().out
    for text in ("--config", "--state", "--catalog", "--properties", "--discover", "--test"):
        assert text in shown
    for text in ("--about", "--version", "--debug", "config.json", "TAP_KLAVIYO_API_KEY"):
        assert text in shown


@pytest.mark.parametrize("flags", [["--discover"], ["-d"]])
def test_discover(capfdbinary: pytest.CaptureFixture[bytes], flags: list[str]) -> None:
    """--discover writes only the catalog and needs neither a network nor a config."""
    assert main(flags) == 0
    assert json.loads(capfdbinary.readouterr().out) == build_catalog()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "config: cannot read"),
        (b"api_key=pk", "is not JSON"),
        (b"[]", "must hold a JSON object"),
        ({"metric_streams": []}, "metric_streams: expected"),
        ({"metric_streams": {"open": "X"}}, "open: this tap has a stream of that name"),
    ],
)
def test_discover_with_a_wrong_config(
    capfd: pytest.CaptureFixture[str], write: Callable[..., str], content: Any, expected: str
) -> None:
    """A config that is named is read: what is wrong with it is one line, and no catalog follows."""
    config = "typo.json" if content is None else write("config.json", content)
    assert main(["--config", config, "--discover"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    (line,) = errors(shown.err)
    assert expected in line


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_about(capfdbinary: pytest.CaptureFixture[bytes], form: str) -> None:
    """--about describes the tap in the requested format."""
    assert main(["--about", "--format", form]) == 0
    shown = capfdbinary.readouterr().out.decode()
    assert __version__ in shown
    assert shown.startswith({"text": "tap-klaviyo", "json": "{", "markdown": "# "}[form])


@pytest.mark.parametrize(
    ("variable", "found"), [("", "viewed"), ('{"started.metric": "Started Checkout"}', "started")]
)
def test_dotted_settings(
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[str, Any], str],
    variable: str,
    found: str,
) -> None:
    """A dotted key adds a stream to the catalog; an environment variable overrides it too."""
    monkeypatch.setenv("TAP_KLAVIYO_METRIC_STREAMS", variable)
    path = write("config.json", {"metric_streams.viewed.metric": "Viewed Product"})
    assert main(["--discover", "--config", path]) == 0
    catalog = json.loads(capfdbinary.readouterr().out)
    own = {entry["stream"] for entry in catalog["streams"]} & {"viewed", "started"}
    assert own == {found}


@pytest.mark.parametrize("flag", ["--catalog", "-p", "--properties"])
def test_sync(
    capfd: pytest.CaptureFixture[str], write: Callable[..., str], klaviyo: Any, flag: str
) -> None:
    """A sync writes SCHEMA, STATE, RECORD and a final STATE; old flag names still work."""
    config = write("config.json", config_for(klaviyo.url))
    assert main(["-c", config, flag, write("catalog.json", lists_only())]) == 0
    shown = capfd.readouterr()
    types = [message["type"] for message in messages(shown.out)]
    assert (*types[:3], types[-1]) == ("SCHEMA", "STATE", "RECORD", "STATE")
    assert KEY not in shown.out + shown.err
    assert not errors(shown.err)


def test_check(capfd: pytest.CaptureFixture[str], write: Callable[..., str], klaviyo: Any) -> None:
    """--test writes its results to stderr, nothing to stdout, and exits 0 without errors."""
    config = write("config.json", config_for(klaviyo.url))
    assert main(["-c", config, "--catalog", write("catalog.json", lists_only()), "--test"]) == 0
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "ok  lists" in shown.err


def test_check_of_slow_streams(
    capfd: pytest.CaptureFixture[str], write: Callable[..., str], box: Sandbox
) -> None:
    """--test says, in a line after the streams, how long a run of slow streams takes at least."""
    settings = {"api_key": box.key, "base_url": box.url, "start_date": "2026-01-01"}
    config = write("config.json", settings)
    assert main(["-c", config, "--select", "lists,metric_properties", "--test"]) == 0
    *checks, time, last = capfd.readouterr().err.splitlines()
    assert [line.split()[:2] for line in checks] == [["ok", "lists"], ["ok", "metric_properties"]]
    metrics = len(box.account.ids("metric"))
    assert time.startswith("To read all takes at least, by Klaviyo's rate limits: ")
    assert f"({metrics} metrics, at most 15 requests a minute)" in time
    assert "2 of 2 ok" in last


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("401 No", "api_key"),
        ("403 No", "lists:read"),
        ("404 No", "base_url"),
        ("410 No", "revision"),
    ],
)
@pytest.mark.parametrize("mode", ["", "--test", "--verify"])
def test_refused(
    capfd: pytest.CaptureFixture[str],
    write: Callable[..., str],
    serve: Callable[[], Any],
    mode: str,
    status: str,
    expected: str,
) -> None:
    """A refused request exits 3, for nothing could be read, and logs a line with the remedy."""
    config = write("config.json", config_for(serve().answer(b"{}", status).url))
    arguments = ["-c", config, "--catalog", write("catalog.json", lists_only())]
    arguments += [mode, "--state", write("state.json", {})] if mode else []
    assert main(arguments) == 3
    shown = capfd.readouterr()
    assert expected in errors(shown.err)[-1]
    assert KEY not in shown.out + shown.err


BAD_FILES: dict[str, tuple[str, Any, str]] = {
    "config absent": ("config", None, "config: cannot read"),
    "config no JSON": ("config", b"api_key=pk", "is not JSON"),
    "config a list": ("config", [], "must hold a JSON object"),
    "config empty": ("config", {}, "api_key: expected"),
    "config port": ("config", config_for("https://a.klaviyo.com:port"), "base_url: expected"),
    "config two spans": (
        "config",
        config_for("https://a.klaviyo.com") | {"sweep_window": "P1D/P1D"},
        "sweep_window: expected",
    ),
    "state absent": ("state", None, "state: cannot read"),
    "state no JSON": ("state", b"STATE", "is not JSON"),
    "state empty": ("state", b"\n", "is empty: run without --state for a first sync."),
    "state null": ("state", b"null", "not null: pass the last line that the target printed."),
    "state lines": ("state", b"{}\n{}\n", "one JSON object: pass the last line that the target"),
    "state config": ("state", {"api_key": KEY}, "'api_key' is neither 'bookmarks' nor a date"),
    "state odd": ("state", {"bookmarks": {"open": {"timestamp": "x"}}}, "bookmarks.open.timestamp"),
    "catalog absent": ("catalog", None, "catalog: cannot read"),
    "catalog no streams": ("catalog", {}, "'streams'"),
    "catalog odd": ("catalog", {"streams": [{"stream": "lists", "metadata": 1}]}, "'lists'"),
    "catalog without schema": ("catalog", {"streams": [{"stream": "lists"}]}, "'lists'"),
}


@pytest.mark.parametrize(("role", "content", "expected"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_files(
    capfd: pytest.CaptureFixture[str],
    write: Callable[..., str],
    klaviyo: Any,
    role: str,
    content: Any,
    expected: str,
) -> None:
    """An invalid file exits 2 with one line that names it; nothing is sent or written."""
    files = {"config": write("config.json", config_for(klaviyo.url))}
    files[role] = write("bad.json", content) if content is not None else "absent.json"
    assert main([part for name, path in files.items() for part in (f"--{name}", path)]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    (line,) = errors(shown.err)
    assert line.startswith("CRITICAL ")
    assert expected in line
    assert not klaviyo.requests


def test_debug(capfd: pytest.CaptureFixture[str], write: Callable[..., str]) -> None:
    """--debug adds a traceback."""
    assert main(["--debug", "-c", write("config.json", {})]) == 2
    assert "Traceback" in capfd.readouterr().err


def test_broken_pipe() -> None:
    """The tap exits 1 without a message when the target closes the pipe."""
    command = [sys.executable, "-m", "tap_klaviyo", "--discover"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(TIMEOUT) == 1
        assert process.stderr.read() == b""


@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_signal_amid_another(
    serve: Callable[[], Any],
    write: Callable[[str, Any], str],
    monkeypatch: pytest.MonkeyPatch,
    line: int,
) -> None:
    """A second signal at any line of the signal handler still stops the run."""
    klaviyo = serve()
    more = {**LISTS, "links": {"next": f"{klaviyo.url}/api/lists?page%5Bcursor%5D=2"}}
    klaviyo.answer(json.dumps(more).encode()).answer(json.dumps(LISTS).encode())
    written, lines = Writer.records, iter(range(1, 100))

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        handler = signal.getsignal(signal.SIGTERM)
        if frame.f_code is not getattr(handler, "__code__", None):
            return None
        if event == "line" and next(lines) == line:
            signal.raise_signal(signal.SIGINT)
        return trace

    def write_and_stop(writer: Writer, data: bytes) -> None:
        written(writer, data)
        if b'"RECORD"' in data:
            sys.settrace(trace)
            signal.raise_signal(signal.SIGTERM)
            sys.settrace(None)

    monkeypatch.setattr(Writer, "records", write_and_stop)
    config = write("config.json", config_for(klaviyo.url))
    code = main(["-c", config, "--catalog", write("catalog.json", lists_only())])
    assert code in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert len(klaviyo.requests) == 1
    assert next(lines) > line


@pytest.mark.parametrize("mode", ["--test", "--verify"])
def test_a_stopped_check(
    serve: Callable[[], Any],
    write: Callable[[str, Any], str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    mode: str,
) -> None:
    """A signal ends a check or a verification at once, with the exit code of the signal."""
    klaviyo = serve().answer(b"", "429 Too Many Requests", **{"Retry-After": "300"})
    paused = RateLimiter.pause

    def pause_and_stop(limiter: RateLimiter, seconds: float) -> None:
        paused(limiter, seconds)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(RateLimiter, "pause", pause_and_stop)
    config = write("config.json", config_for(klaviyo.url))
    catalog = write("catalog.json", lists_only())
    state = write("state.json", {})
    arguments = ["-c", config, "--catalog", catalog, "--state", state, mode]
    assert main(arguments) == 128 + signal.SIGTERM
    assert "Stopped by SIGTERM" in capfd.readouterr().err


def test_a_stopped_run_with_a_refused_stream(
    serve: Callable[[], Any],
    write: Callable[[str, Any], str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A stopped run exits with the signal's code and still names the streams it could not read."""
    klaviyo = serve()
    more = {**LISTS, "links": {"next": f"{klaviyo.url}/api/lists?page%5Bcursor%5D=2"}}
    klaviyo.answer(b"{}", "403 Forbidden").answer(json.dumps(more).encode())
    written = Writer.records

    def write_and_stop(writer: Writer, data: bytes) -> None:
        written(writer, data)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Writer, "records", write_and_stop)
    config = write("config.json", {**config_for(klaviyo.url), "concurrency": 1})
    entries = {entry["stream"]: entry for entry in build_catalog()["streams"]}
    chosen = {"streams": [entries[name] for name in ("segments", "lists")]}
    for entry in chosen["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = True
    assert main(["-c", config, "--catalog", write("catalog.json", chosen)]) == 128 + signal.SIGTERM
    logged = capfd.readouterr().err
    assert "1 of 2 streams could not be read (segments)" in logged
    assert "the run ended before the others were complete" in logged
    assert "Stopped by SIGTERM" in logged
