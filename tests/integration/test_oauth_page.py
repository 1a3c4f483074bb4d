"""The commands of docs/oauth.md lead to a refresh token that the tap can use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from external_programs import CHECKOUT, run

from sandbox import Account, Sandbox
from sandbox.oauth import CLIENT_ID, CLIENT_SECRET
from tap_klaviyo import Tap

PAGE = (CHECKOUT / "docs" / "oauth.md").read_text()


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A server of a small account."""
    with Sandbox(Account.seeded(seed=3, events=200)) as box:
        yield box


def test_commands_of_the_page(box: Sandbox, tmp_path: Path) -> None:
    """From the app's credentials to a sync, with a browser that agrees at once."""
    app, address, code, exchange = re.findall(r"^```sh\n(.*?)^```", PAGE, re.S | re.M)
    for host in ("https://www.klaviyo.com", "https://a.klaviyo.com"):
        address, exchange = address.replace(host, box.url), exchange.replace(host, box.url)
    app = app.replace("CLIENT_ID=...", f"CLIENT_ID={CLIENT_ID}")
    app = app.replace("CLIENT_SECRET=...", f"CLIENT_SECRET={CLIENT_SECRET}")
    show = 'echo "VERIFIER=$VERIFIER STATE=$STATE"\n'
    first = run("bash", "-euc", app + address + show, cwd=tmp_path).stdout.splitlines()
    redirect = requests.get(first[0], allow_redirects=False, timeout=10).headers["Location"]
    answer = parse_qs(urlsplit(redirect).query)
    assert f"STATE={answer['state'][0]}" in first[1]
    known = first[1].replace(" ", "\n") + "\n" + code.replace("...", answer["code"][0])
    tokens = json.loads(run("bash", "-euc", app + known + exchange, cwd=tmp_path).stdout)

    (example,) = map(json.loads, re.findall(r"^```json\n(.*?)^```", PAGE, re.S | re.M))
    settings = {
        **example,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": tokens["refresh_token"],
        "oauth_token_file": str(tmp_path / "tokens.json"),
        "base_url": box.url,
    }
    assert len(list(Tap(settings).records("lists"))) == len(box.account.list_ids())
    assert (tmp_path / "tokens.json").exists()
