"""The settings ``hash_fields`` and ``hash_salt``: what they accept, and what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.errors import ConfigError

SALT = "a salt of these tests"
REQUIRED = {
    "api_key": "pk_1",
    "start_date": "2026-01-01",
    "hash_salt": SALT,
    "metric_streams": {"orders": {"metric": "Placed Order"}},
}


PAGE = (Path(__file__).parent.parent / "docs" / "hashing.md").read_text("utf-8")


def refusal(**settings: Any) -> str:
    """The error about settings."""
    with pytest.raises(ConfigError) as caught:
        parse_config({**REQUIRED, **settings})
    return str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "*.email",
        "*_email",
        "*email",
        "receive.profile.phone_number",
        "profiles.*_name",
        "profiles.location.[ac]*",
        "global_exclusions.email",
        "orders.profile.email",
        "campaigns.audiences.included",
        "campaigns.campaign-messages.content.subject",
        "receive.event_properties.email",
        "receive.event_properties.$email",
        "*.event_properties.Customer E-Mail",
        "*.event_properties.customer.e.mail",
        "orders.event_properties.email",
        "receive.profile.properties.ssn",
        "*.properties.ssn",
        "profiles.properties.is it? [yes]",
        "campaign_messages.content.action_buttons.url",
    ],
)
def test_patterns_that_match(pattern: str) -> None:
    """A pattern may match text in each stream, nested or not, or name a value in a free form."""
    assert [one.text for one in parse_config({**REQUIRED, "hash_fields": [pattern]}).hash_fields]


UNMATCHED = {
    "profiles.emial": "did you mean 'profiles.email'?",
    "recieve.email": "matches no field",
    "profiles": "matches no field",
    "email": "matches no field",
    "Profiles.Email": "matches no field",
    "profiles..email": "matches no field",
    "profiles.email.": "matches no field",
    "profiles.email.domain": "matches no field",
    "placed.profile.email": "matches no field",
    "*.event_properties.e*": "matches no field",
    "receive.event_properties.": "matches no field",
    "receive.event_properties..email": "matches no field",
    "rec*.*.$email": "matches no field",
    "profiles.subscriptions": "matches only objects, name fields of them: profiles.subscriptions",
}


@pytest.mark.parametrize(("pattern", "reason"), UNMATCHED.items(), ids=UNMATCHED.keys())
def test_patterns_that_match_nothing(pattern: str, reason: str) -> None:
    """A pattern that matches no value of any stream is named."""
    shown = refusal(hash_fields=["*.email", pattern])
    assert f"hash_fields: expected patterns of text; '{pattern}' " in shown
    assert reason in shown


REFUSED = {
    "receive.id": "receive.id (an ID, which joins tables)",
    "receive.profile.id": "receive.profile.id (an ID, which joins tables)",
    "receive.profile_id": "receive.profile_id (an ID, which joins tables)",
    "profiles.external_id": "profiles.external_id (an ID, which joins tables)",
    "list_members.list_id": "list_members.list_id (an ID, which joins tables)",
    "*.dimensions_key": "metric_aggregates.dimensions_key (a part of the key)",
    "list_exclusions.reason": "list_exclusions.reason (a part of the key)",
    "profiles.type": "profiles.type (a type)",
    "profiles.updated": "profiles.updated (the replication key)",
    "receive.timestamp": "receive.timestamp (the replication key)",
    "profiles.created": "profiles.created (a date-time)",
    "profiles.location.latitude": "profiles.location.latitude (a number)",
    "profiles.location.l*": "profiles.location.latitude, profiles.location.longitude (a number)",
    "campaigns.archived": "campaigns.archived (a boolean)",
    "flow_values_report.opens": "flow_values_report.opens (a number)",
    "profiles.properties": "profiles.properties (a free-form object, in which the pattern must",
    "receive.profile.p*": "receive.profile.properties (a free-form object, in which the pattern",
    "*.event_properties": "receive.event_properties, click.event_properties",
    "*": "an ID, which joins tables",
}


@pytest.mark.parametrize(("pattern", "reason"), REFUSED.items(), ids=REFUSED.keys())
def test_patterns_of_what_cannot_be_hashed(pattern: str, reason: str) -> None:
    """A pattern that matches an ID, a date or a value without text is an error in one line."""
    shown = refusal(hash_fields=[pattern])
    assert f"'{pattern}' matches what cannot be hashed: " in shown
    assert reason in shown
    assert shown.count("\n") == 0


def test_fields_of_one_revision() -> None:
    """A pattern is matched with the streams and fields of the revision that is set."""
    pattern = {"hash_fields": ["campaigns.description"]}
    assert "matches no field" in refusal(**pattern, revision="2026-07-15")
    assert parse_config({**REQUIRED, **pattern, "revision": "2026-10-15"}).hash_fields


@pytest.mark.parametrize(
    "written",
    [
        ["*.email", "profiles.title"],
        ["*.email", " profiles.title ", "*.email"],
        '["*.email", "profiles.title"]',
        "*.email, profiles.title",
        "*.email,profiles.title,",
    ],
)
def test_ways_to_write_patterns(written: Any) -> None:
    """Patterns are an array, its JSON text as in a variable, or a text with commas."""
    for settings, variables in (
        ({**REQUIRED, "hash_fields": written}, {}),
        (REQUIRED, {"TAP_KLAVIYO_HASH_FIELDS": written}),
    ):
        if not variables or isinstance(written, str):
            config = parse_config(settings, variables)
            assert [one.text for one in config.hash_fields] == ["*.email", "profiles.title"]


@pytest.mark.parametrize("written", [{"*.email": True}, [1], [""], ["a\nb"], [None], 1, "[1", True])
def test_what_are_no_patterns(written: Any) -> None:
    """Anything else is refused."""
    assert "hash_fields: expected an array of patterns" in refusal(hash_fields=written)


@pytest.mark.parametrize("written", [None, [], "[]", "", " ,"])
def test_no_patterns_need_no_salt(written: Any) -> None:
    """Without patterns nothing is hashed, with a salt or without."""
    for salt in (None, SALT):
        config = parse_config({**REQUIRED, "hash_fields": written, "hash_salt": salt})
        assert config.hashing is None


def test_patterns_need_a_salt() -> None:
    """Patterns without a salt are an error."""
    shown = refusal(hash_fields=["*.email"], hash_salt=None)
    assert "hash_salt: missing; hash_fields needs it" in shown


@pytest.mark.parametrize(
    "salt", ["", "short", "  short  ", "two\nlines of salt", 12345678, ["x" * 9]]
)
def test_what_is_no_salt(salt: Any) -> None:
    """A salt is printable text that cannot be guessed easily; an error does not show it."""
    shown = refusal(hash_fields=["*.email"], hash_salt=salt)
    assert "hash_salt: expected a text of at least 8 characters" in shown
    assert "short" not in shown


def test_the_salt_comes_from_a_variable() -> None:
    """The environment variable overrides the file, and nothing shows the salt."""
    variables = {"TAP_KLAVIYO_HASH_SALT": "gesalzen äöü"}
    config = parse_config({**REQUIRED, "hash_fields": ["*.email"]}, variables)
    assert config.hash_salt is not None
    assert config.hash_salt.reveal() == "gesalzen äöü"
    assert "gesalzen" not in f"{config!r} {config.hashing!r} {vars(config)}"


def test_the_patterns_of_the_page() -> None:
    """The example and the table of docs/hashing.md are valid."""
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.S | re.M)
    listed = re.findall(r"^\| `(.*?)` \|", PAGE, re.M)
    assert len(listed) > 5
    for patterns in (json.loads(example)["hash_fields"], listed):
        assert parse_config({**REQUIRED, "hash_fields": patterns}).hashing


@pytest.mark.parametrize("text", ["Anna@Example.com", " \tanna@example.com\n", "0170 1", "ÄÖ"])
def test_the_python_of_the_page(text: str) -> None:
    """The function in docs/hashing.md returns what the tap writes."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)
    names: dict[str, Any] = {}
    exec(code, names)
    hashing = parse_config({**REQUIRED, "hash_fields": ["*.email"]}).hashing
    assert hashing is not None
    assert names["hashed"](text, SALT) == hashing.hash(text)
