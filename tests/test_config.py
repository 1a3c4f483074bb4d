"""Settings: valid and invalid values, error messages, and secrets."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.config.loading import (
    from_environment,
    parse_config,
    read_object,
)
from tap_klaviyo.config.settings import SETTINGS, Config
from tap_klaviyo.errors import ConfigError

REQUIRED = {"api_key": "pk_test_key", "start_date": "2026-01-01"}


def utc(*parts: int) -> datetime:
    """A time in UTC."""
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[arg-type,misc]


GOOD: list[tuple[str, Any, Any]] = [
    ("start_date", "2025-12-31", utc(2025, 12, 31)),
    ("start_date", "2025-12-31T10:20:30Z", utc(2025, 12, 31, 10, 20, 30)),
    ("start_date", "2025-12-31T10:20:30+02:00", utc(2025, 12, 31, 8, 20, 30)),
    ("start_date", "2025-12-31T10:20:30", utc(2025, 12, 31, 10, 20, 30)),
    ("start_date", "12/31/2025", utc(2025, 12, 31)),
    ("start_date", "1/2/2025", utc(2025, 1, 2)),
    ("end_date", "2026-02-01", utc(2026, 2, 1)),
    ("end_date", None, None),
    ("lookback_window", "PT30M", timedelta(minutes=30)),
    ("lookback_window", "pt30m", timedelta(minutes=30)),
    ("lookback_window", 90, timedelta(seconds=90)),
    ("lookback_window", "90", timedelta(seconds=90)),
    ("lookback_window", 0, timedelta()),
    ("lookback_window", None, timedelta(hours=1)),
    ("sweep_window", "P17D", timedelta(days=17)),
    ("sweep_window", "P1M", timedelta(days=30)),
    ("sweep_window", "0", timedelta()),
    ("sweep_interval", "P1W", timedelta(days=7)),
    ("sweep_interval", 0.5, timedelta(seconds=0.5)),
    ("page_size", 1, 1),
    ("page_size", "200", 200),
    ("page_size", 1000.0, 1000),
    ("concurrency", 64, 64),
    ("quota_share", "0.5", 0.5),
    ("quota_share", 1, 1.0),
    ("request_timeout", 0.5, 0.5),
    ("request_timeout", "30", 30.0),
    ("activate_version", "true", True),
    ("activate_version", False, False),
    ("user_agent", "tap (data@example.com)", "tap (data@example.com)"),
    ("revision", "2025-10-15", "2025-10-15"),
    ("revision", "2026-07-15.pre", "2026-07-15.pre"),
    ("base_url", "https://proxy.example.com/", "https://proxy.example.com"),
    ("base_url", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("base_url", "http://localhost:8080", "http://localhost:8080"),
    ("base_url", "http://[::1]:8080", "http://[::1]:8080"),
]

BAD: dict[str, list[Any]] = {
    "api_key": [None, "", " ", 12, "pk one", "pk_a\npk_b", "pk_ü", ["pk"]],
    "start_date": [
        *(None, "", "2026", "soon", "13/01/2026", "2/30/2026", "31.01.2026"),
        *(20260101, 1767225600, True, {}),
    ],
    "end_date": ["", "tomorrow", 0, "2026-01-01", "2025-12-31"],
    "lookback_window": [-1, "-PT1H", "P", "1 hour", True, [], "NaN"],
    "sweep_window": ["-P30D", "P-1D", "PT", "P11Y", float("inf"), "P99999999999D", "P1D/P1D"],
    "sweep_interval": ["P-1D", "P1D/2026-01-01", {}, ""],
    "page_size": [0, 1001, 1.5, "many", True, [1]],
    "concurrency": [0, 65, -1, "", 10**400],
    "quota_share": [0, -1, 1.01, "NaN", "half", True],
    "request_timeout": [0, -1, 1e9, "NaN", False],
    "reports": [[], 1, "x", "[]"],
    "metric_streams": [[], "x", 1, "null"],
    "activate_version": ["yes", 1, [], ""],
    "user_agent": ["", " ", 1, "tap\r\nX-Evil: 1", "Köln – data"],
    "revision": ["", "latest", "2026-7-15", 20260715, "２０２６-07-15"],
    "base_url": [
        *("a.klaviyo.com", "http://a.klaviyo.com", "ftp://a.klaviyo.com", "https://", 1),
        *("https://a.klaviyo.com/api", "https://a.klaviyo.com?x=1", "https://a b.com"),
        *("https://me:pw@x.com", "https://:pw@x.com", "http://127.0.0.1.example.com"),
        *("https://x.com:99999", "https://x.com:abc", "https://[::1"),
    ],
}


def error_message(call: Callable[[], Any]) -> str:
    """Returns the message of the ConfigError that ``call`` raises."""
    with pytest.raises(ConfigError) as caught:
        call()
    return str(caught.value)


def load(path: str | None, environment: Mapping[str, str]) -> Config:
    """Loads settings from a file and an environment, as the command line does."""
    settings = read_object(path, "config", ConfigError) if path else {}
    return parse_config({**settings, **from_environment(environment)})


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], str]:
    """Writes a config file and returns its path."""

    def write(content: bytes) -> str:
        path = tmp_path / "config.json"
        path.write_bytes(content)
        return str(path)

    return write


def test_defaults() -> None:
    """Optional settings have the documented defaults."""
    settings = parse_config(REQUIRED)
    assert settings.api_key.reveal() == "pk_test_key"
    assert settings.start_date == utc(2026, 1, 1)
    assert settings.end_date is None
    assert settings.lookback_window == timedelta(hours=1)
    assert settings.sweep_window == timedelta(days=7)
    assert settings.sweep_interval == timedelta(days=1)
    assert (settings.page_size, settings.request_timeout) == (1000, 300)
    assert (settings.revision, settings.base_url) == ("2026-07-15", "https://a.klaviyo.com")


@pytest.mark.parametrize(("name", "written", "parsed"), GOOD)
def test_good_values(name: str, written: Any, parsed: Any) -> None:
    """Each documented form of a value is accepted."""
    assert getattr(parse_config({**REQUIRED, name: written}), name) == parsed


@pytest.mark.parametrize(
    ("name", "written"),
    [(name, written) for name, values in BAD.items() for written in values],
    ids=lambda value: str(value)[:32],
)
def test_bad_values(name: str, written: Any) -> None:
    """An invalid value is rejected with the name of its setting and what is expected."""
    message = error_message(lambda: parse_config({**REQUIRED, name: written}))
    assert message.startswith(f"config: {name}: expected ")
    assert "\n" not in message


def test_all_errors_together() -> None:
    """One error message lists every invalid setting."""
    message = error_message(
        lambda: parse_config({"page_size": 0, "base_url": "x", "end_date": "x"})
    )
    for name in ("api_key", "start_date", "page_size", "base_url", "end_date"):
        assert f"{name}: expected" in message


def test_end_before_start() -> None:
    """An end_date before start_date is reported as an error of end_date."""
    dates = {"start_date": "2026-02-01", "end_date": "2026-01-01"}
    message = error_message(lambda: parse_config({**REQUIRED, **dates}))
    expected = "end_date: expected a time after start_date, which is 2026-02-01T00:00:00+00:00."
    assert message == f"config: {expected}"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        *((negative, "it is negative") for negative in ("-P30D", "P-30D", "-pt1h", -1, "-0.5")),
        *((long, "it is more than ten years") for long in ("P11Y", "P122M", 10**9, "inf")),
    ],
)
@pytest.mark.parametrize("name", ["lookback_window", "max_retry_wait"])
def test_a_duration_out_of_range(name: str, written: Any, reason: str) -> None:
    """The error says what is wrong with a duration that is one."""
    message = error_message(lambda: parse_config({**REQUIRED, name: written}))
    assert message.endswith(f", or seconds ({reason}).")


def test_dates_of_the_us(caplog: pytest.LogCaptureFixture) -> None:
    """MM/DD/YYYY is read so, and the log says once how, for each date that is written so."""
    caplog.set_level(logging.INFO)
    dates = {"start_date": "03/09/2026", "end_date": " 4/1/2026\n"}
    config = parse_config({**REQUIRED, **dates})
    assert (config.start_date, config.end_date) == (utc(2026, 3, 9), utc(2026, 4, 1))
    assert caplog.messages == [
        "config: start_date '03/09/2026' is read as 2026-03-09 (month/day/year).",
        "config: end_date '4/1/2026' is read as 2026-04-01 (month/day/year).",
    ]


@pytest.mark.parametrize("start", ["2026-03-09", "2026-03-09T00:00:00Z"])
def test_dates_that_need_no_explanation(caplog: pytest.LogCaptureFixture, start: str) -> None:
    """The log says nothing of dates in another form."""
    caplog.set_level(logging.INFO)
    parse_config({**REQUIRED, "start_date": start})
    assert not caplog.messages


@pytest.mark.parametrize("start", ["13/01/2026", "31.01.2026", "01/02/26"])
def test_an_error_about_a_date_explains_its_forms(start: str) -> None:
    """The message says in which order month and day are read."""
    message = error_message(lambda: parse_config({**REQUIRED, "start_date": start}))
    assert "03/09/2026 (MM/DD/YYYY, so 9 March)" in message


@given(st.sampled_from([setting.name for setting in SETTINGS]), st.data())
def test_any_value(name: str, data: st.DataObject) -> None:
    """Any JSON value of a setting is accepted or raises ConfigError."""
    json_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    written = data.draw(json_values | st.lists(json_values) | st.from_regex(r"\AP[0-9T/DHWY.-]+\Z"))
    with suppress(ConfigError):
        parse_config({**REQUIRED, name: written})


def test_secrets_never_print() -> None:
    """The API key is not in the text of a config, its fields or an error about it."""
    key = "pk_" + "x7" * 8
    settings = parse_config({**REQUIRED, "api_key": key})
    shown = [repr(settings), str(settings), f"{settings.api_key}", repr(vars(settings))]
    with pytest.raises(ConfigError) as caught:
        parse_config({**REQUIRED, "api_key": f"{key} {key}"})
    assert key not in "".join([*shown, *traceback.format_exception(caught.value)])


@pytest.mark.parametrize(
    "written", ["pk_key\n", "pk_key\r\n", " pk_key\t", "\ufeffpk_key", "pk_key\u200b \n"]
)
def test_a_key_that_was_copied_with_blanks(written: str) -> None:
    """Blanks and line ends around the key, from a file or an editor, are no part of it."""
    assert parse_config({**REQUIRED, "api_key": written}).api_key.reveal() == "pk_key"


def test_settings_are_frozen() -> None:
    """Settings cannot be changed after they were loaded."""
    with pytest.raises(AttributeError):
        parse_config(REQUIRED).page_size = 5  # type: ignore[misc]


def test_file_and_environment(file: Callable[[bytes], str]) -> None:
    """Environment variables override the file; empty variables are ignored."""
    path = file(json.dumps({**REQUIRED, "page_size": 100}).encode())
    environment = {"TAP_KLAVIYO_PAGE_SIZE": "300", "TAP_KLAVIYO_API_KEY": "", "PAGE_SIZE": "7"}
    settings = load(path, environment)
    assert settings.page_size == 300
    assert settings.api_key.reveal() == "pk_test_key"


def test_environment_alone() -> None:
    """Every setting can come from the environment alone."""
    environment = {"TAP_KLAVIYO_" + name.upper(): value for name, value in REQUIRED.items()}
    assert isinstance(load(None, environment), Config)
    assert "api_key: expected" in error_message(lambda: load(None, {}))


def test_unknown_settings(file: Callable[[bytes], str], caplog: pytest.LogCaptureFixture) -> None:
    """An unknown setting is a warning that names it, not an error."""
    with caplog.at_level(logging.WARNING):
        load(file(json.dumps({**REQUIRED, "apikey": "pk_typo"}).encode()), {})
    assert "'apikey'" in caplog.text
    assert "pk_typo" not in caplog.text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty."),
        (b" \n", "is empty."),
        (b"{}\n{}\n", "holds more than one JSON object."),
        (b"api_key: pk", "is not JSON"),
        (b'{"api_key": "pk_very_secret", ]', "is not JSON"),
        (b"\xff\xfe\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "must hold a JSON object, not an array."),
        (b"null", "must hold a JSON object, not null."),
    ],
)
def test_invalid_files(file: Callable[[bytes], str], content: bytes, expected: str) -> None:
    """The error for a file that is not a JSON object has its path and not its content."""
    path = file(content)
    message = error_message(lambda: load(path, {}))
    assert message.startswith("config: ")
    assert path in message
    assert expected in message
    assert "very_secret" not in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_unreadable_files(tmp_path: Path, name: str) -> None:
    """A missing file or a directory is reported with the reason of the operating system."""
    path = tmp_path / name
    message = error_message(lambda: read_object(str(path), "state", ConfigError))
    assert message.startswith(f"state: cannot read {path}: ")
