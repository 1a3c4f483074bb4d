"""The floor: the minimum cost of reading Klaviyo with requests.

``python floor.py ADDRESS KEY PAGES`` requests each path and query in the file PAGES, one per line,
and writes each body to stdout without parsing it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import requests

HEADERS = {"revision": "2026-07-15", "Accept": "application/vnd.api+json"}


def main(address: str, key: str, pages: str) -> None:
    """Requests the pages with one session."""
    with requests.Session() as session:
        session.headers.update({**HEADERS, "Authorization": f"Klaviyo-API-Key {key}"})
        for page in Path(pages).read_text().splitlines():
            response = session.get(address + page, timeout=60)
            response.raise_for_status()
            sys.stdout.buffer.write(response.content + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
