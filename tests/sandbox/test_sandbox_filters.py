"""The filter language."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.filters import Condition, FilterError, FilterField, matcher, parse_filter
from sandbox.resource_types import name_set

EVERY = name_set("equals any contains greater-than greater-or-equal less-than less-or-equal has")
ALLOWED = {
    "name": FilterField("string", EVERY),
    "names": FilterField("strings", EVERY),
    "at": FilterField("datetime", EVERY),
    "count": FilterField("integer", EVERY),
    "open": FilterField("boolean", EVERY),
    "profile": FilterField("relation", EVERY),
    "limited": FilterField("string", frozenset({"equals"})),
    "many.reason": FilterField("string", EVERY),
    "many.at": FilterField("datetime", EVERY),
}
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("equals(name,'a')", "a"),
        ('equals(name,"a")', "a"),
        (r'equals(name,"a\"b\\c\u00e9\n")', 'a"b\\cé\n'),
        (r"equals(name,'it\'s')", "it's"),
        ("equals(name, 'after a blank')", "after a blank"),
        ('equals(name,"(brackets), [and] commas")', "(brackets), [and] commas"),
        ("equals(names,['a',\"b\"])", ("a", "b")),
        ("any(name,['a','b'])", ("a", "b")),
        ("equals(count,12)", 12),
        ("equals(count,-3)", -3),
        ("equals(open,true)", True),
        ("equals(at,2026-01-01T12:00:00Z)", NOON),
        ("equals(at,2026-01-01T13:00:00+01:00)", NOON),
        ("equals(at,2026-01-01T12:00:00.5Z)", NOON + timedelta(seconds=0.5)),
        ("equals(at,2026-01-01T12:00:00.1234567Z)", NOON + timedelta(microseconds=123456)),
        ("has(profile)", None),
    ],
)
def test_values(text: str, value: Any) -> None:
    """Values are parsed to the right type."""
    (condition,) = parse_filter(text, ALLOWED)
    assert condition.value == value
    assert type(condition.value) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "equals(name,'a'),equals(open,true)",
        "and(equals(name,'a'),equals(open,true))",
        "and(equals(name,'a')),and(equals(open,true))",
        "equals(name,'a'), equals(open,true)",
    ],
)
def test_conjunctions(text: str) -> None:
    """Conditions are joined by commas or by `and`."""
    assert parse_filter(text, ALLOWED) == (
        Condition("equals", "name", "a"),
        Condition("equals", "open", True),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "equals",
        "equals(",
        "equals(name)",
        "equals(name,)",
        "equals(name,'a'",
        "equals(name,'a)",
        "equals(name,'a'),",
        "equals(name,'a') ",
        "equals (name,'a')",
        "equals(name,'a')equals(open,true)",
        "equals(name,'a',)",
        "equals(name,a)",
        "equals(name,'a','b')",
        "any(name,[])",
        "any(name,['a',])",
        "any(name,['a'",
        "or(equals(name,'a'),equals(open,true))",
        "not(equals(name,'a'))",
        "equals(unknown,'a')",
        "greater-than(limited,'a')",
        "wishes(name,'a')",
        "equals(name,1)",
        "equals(name,['a'])",
        "any(name,'a')",
        "any(name,['a',1])",
        "equals(names,[1])",
        "equals(count,'1')",
        "equals(count,1.5)",
        "equals(count,true)",
        "equals(open,1)",
        "equals(at,'2026-01-01T12:00:00Z')",
        "equals(at,2026-01-01T12:00:00)",
        "equals(at,2026-01-01 12:00:00Z)",
        "equals(at,2026-01-01T12:00:00 00:00)",
        "equals(at,2026-01-01)",
        "equals(at,2026-02-30T12:00:00Z)",
        "equals(at,2026-01-01T25:00:00Z)",
        "equals(at,0001-01-01T00:00:00+14:00)",
        "equals(at,1767268800)",
        "has(profile,true)",
        "equals(name,'a'),equals(name,'b')",
    ],
)
def test_refused(text: str) -> None:
    """Malformed, wrongly typed and disallowed filters raise FilterError."""
    with pytest.raises(FilterError):
        parse_filter(text, ALLOWED)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("equals(name,'b')", True),
        ("equals(names,['a','b'])", False),
        ("any(name,['a','b'])", True),
        ("contains(name,'b')", True),
        ("contains(name,'B')", False),
        ("greater-than(at,2026-01-01T12:00:00Z)", False),
        ("greater-or-equal(at,2026-01-01T12:00:00Z)", True),
        ("less-than(at,2026-01-01T12:00:00Z)", False),
        ("less-or-equal(at,2026-01-01T12:00:00Z)", True),
        ("less-or-equal(at,2026-01-01T13:00:00+01:00)", True),
        ("equals(many.reason,'x')", True),
        ("equals(many.reason,'x'),greater-than(many.at,2026-01-01T00:00:00Z)", False),
        ("equals(many.reason,'y'),greater-than(many.at,2026-01-01T00:00:00Z)", True),
        ("equals(count,0)", False),
    ],
)
def test_matching(text: str, found: bool) -> None:
    """Null matches nothing; conditions on an array must hold for one element."""
    attributes = {
        "name": "b",
        "names": None,
        "at": "2026-01-01 12:00:00+00:00",
        "count": None,
        "many": [
            {"reason": "x", "at": "2025-01-01T00:00:00+00:00"},
            {"reason": "y", "at": "2026-06-01T00:00:00+00:00"},
        ],
    }
    assert matcher(parse_filter(text, ALLOWED))(attributes) is found


@given(st.text(st.characters(codec="utf-8")))
def test_any_string(text: str) -> None:
    """Any quoted string is parsed to the same string."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_filter(f'equals(name,"{quoted}")', ALLOWED)[0].value == text


@given(st.text(st.sampled_from("equals(name,'\\\"[]) 1-:TZ")))
def test_any_input(text: str) -> None:
    """Any input is parsed or raises FilterError."""
    with suppress(FilterError):
        parse_filter(text, ALLOWED)
