"""The SQL in docs/hashing.md makes the hashes that the tap writes."""

from __future__ import annotations

import re

from external_programs import CHECKOUT
from postgres import Server

from tap_klaviyo.config.loading import parse_config

SALT = "a salt of these tests"
TEXTS = ("Anna@Example.com", " \tanna@example.com\r\n", "+49 170 1234567", "o'hara")
PAGE = (CHECKOUT / "docs" / "hashing.md").read_text()


def literal(text: str) -> str:
    """Text as SQL has it."""
    return "'{}'".format(text.replace("'", "''"))


def test_the_sql_of_the_page(postgres: Server) -> None:
    """PostgreSQL and the tap have the same hash of a text; blanks and case do not matter."""
    query = re.findall(r"^```sql\n(.*?)^```", PAGE, re.S | re.M)[0]
    required = {"api_key": "pk_1", "start_date": "2026-01-01", "hash_salt": SALT}
    hashing = parse_config({**required, "hash_fields": ["*.email"]}).hashing
    assert hashing is not None
    database = postgres.database("hashing")
    database.execute("create extension pgcrypto")
    for text in TEXTS:
        written = query.replace(":'text'", literal(text)).replace(":'salt'", literal(SALT))
        assert database.execute(written).strip() == hashing.hash(text)
