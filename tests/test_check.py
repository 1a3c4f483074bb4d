"""The check of a key: may it read what is selected?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import responses

from tap_klaviyo.check import check
from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import Selected
from tap_klaviyo.errors import ConfigError, TapError
from tap_klaviyo.klaviyo.client import Client

BASE = "https://a.klaviyo.com/api/"
EMPTY = {"data": [], "links": {"next": None}}
REFUSED = {"errors": [{"id": "1", "code": "permission_denied", "title": "No", "detail": "No way."}]}

Configure = Callable[..., Config]
Select = Callable[..., Selected]


@pytest.fixture
def answers() -> Any:
    """Klaviyo, empty, with the key allowed to read everything."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for path in ("metrics", "events", "campaigns", "lists", "profiles"):
            mock.get(BASE + path, json=EMPTY)
        yield mock


def test_all_is_well(
    answers: Any, configure: Configure, select: Select, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table on stderr names each stream and the scopes it needs; stdout stays empty."""
    check(configure(), Client(configure()), [select("open"), select("click"), select("lists")])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line.split(maxsplit=2) for line in shown.err.splitlines()] == [
        ["ok", "open", "events:read, profiles:read, metrics:read"],
        ["ok", "click", "events:read, profiles:read, metrics:read"],
        ["ok", "lists", "lists:read, tags:read"],
    ]


def test_asks_once(answers: Any, configure: Configure, select: Select) -> None:
    """What is the same for several streams is asked once, and for one record only."""
    check(configure(), Client(configure()), [select("open"), select("click"), select("bounce")])
    urls = [call.request.url for call in answers.calls]
    assert [url.split("?")[0] for url in urls] == [BASE + "metrics", BASE + "events"]
    assert "page%5Bsize%5D=1" in urls[1]


def test_missing_scope(
    answers: Any, configure: Configure, select: Select, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scope that is missing is told for its stream, after all others were checked."""
    answers.replace("GET", BASE + "lists", json=REFUSED, status=403)
    with pytest.raises(TapError, match="1 of 3 streams cannot be read") as caught:
        check(
            configure(), Client(configure()), [select("lists"), select("campaigns"), select("open")]
        )
    assert "lists:read" in str(caught.value)
    assert [line.split()[:2] for line in capsys.readouterr().err.splitlines()] == [
        ["no", "lists"],
        ["ok", "campaigns"],
        ["ok", "open"],
    ]


def test_metrics_are_needed(answers: Any, configure: Configure, select: Select) -> None:
    """An event stream cannot be read without the scope that finds its metric."""
    answers.replace("GET", BASE + "metrics", json=REFUSED, status=403)
    selected = select("open", "metric", "metric_id")
    with pytest.raises(TapError, match="metrics:read"):
        check(configure(), Client(configure()), [selected])


def test_wrong_key(answers: Any, configure: Configure, select: Select) -> None:
    """A key that Klaviyo does not know ends the check at once."""
    answers.replace("GET", BASE + "lists", json={}, status=401)
    with pytest.raises(ConfigError, match="api_key"):
        check(configure(), Client(configure()), [select("lists"), select("open")])
    assert len(answers.calls) == 1


def test_nothing_selected(answers: Any, configure: Configure) -> None:
    """Without a stream there is nothing to ask."""
    check(configure(), Client(configure()), [])
    assert not answers.calls
