"""Packaging. The reason for each dependency stands in docs/architecture.md."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
README = (HERE / "README.md").read_text("utf-8")
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "tap_klaviyo/__init__.py").read_text())[1]

SANDBOX = ["aiohttp>=3.10,<4"]
BATCH = ["fsspec>=2024.6,<2027"]
DEMO = [*SANDBOX, "duckdb>=1.2,<3", "plotext>=5.3,<6"]

PICTURE = r"!\[[^\]]*\]\((?!https:)[^)]*\)"
LINK = r"\[([^\]]*)\]\((?!https:)[^)]*\)"
"""A link to a file of this folder, which leads nowhere on PyPI. Its text remains there."""
WHERE = """
The source distribution has the documentation, in the folder `docs`, and the demo: unpack it and run
`make demo`. It has no tests, so `make test` needs the repository.
"""

setup(
    # On PyPI, "tap-klaviyo" is singer-io's tap.
    name="tap-klaviyo-complete",
    version=VERSION,
    description="Singer tap for Klaviyo: every event, as fast as the rate limit allows.",
    long_description=re.sub(LINK, r"\1", re.sub(PICTURE, "", README)) + WHERE,
    long_description_content_type="text/markdown",
    keywords=[
        "singer",
        "tap",
        "klaviyo",
        "meltano",
        "elt",
        "etl",
        "email marketing",
        "data warehouse",
    ],
    project_urls={
        "Klaviyo API": "https://developers.klaviyo.com/en/reference/api_overview",
        "Singer": "https://www.singer.io",
    },
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Information Technology",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Database",
        "Typing :: Typed",
    ],
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*find_packages(include=["tap_klaviyo", "tap_klaviyo.*"]), "tap_klaviyo.schemas"],
    package_dir={"tap_klaviyo": "tap_klaviyo", "tap_klaviyo.schemas": "schemas"},
    package_data={"tap_klaviyo": ["py.typed"], "tap_klaviyo.schemas": ["*.json", "*/*.json"]},
    entry_points={"console_scripts": ["tap-klaviyo=tap_klaviyo.__main__:main"]},
    install_requires=[
        "backoff>=2.2.1,<3",
        # Without a wheel it would have to be compiled; the tap does without it then.
        "isal>=1.7,<2; platform_machine in 'x86_64 AMD64 aarch64 arm64'",
        "msgspec>=0.21,<0.23",
        "pendulum>=3.1,<4",
        "pyrate-limiter>=4.1,<5",
        "requests>=2.32,<3",
        "rich>=13.7,<16",
        "singer-python>=6.1,<7",
        "urllib3>=2.2,<3",
    ],
    extras_require={
        "batch": BATCH,
        "sandbox": SANDBOX,
        "demo": DEMO,
        "dev": [
            *BATCH,
            *DEMO,
            "build>=1.2,<2",
            "hypothesis>=6.100,<7",
            "klaviyo-api==24.0.0",
            "mypy>=1.13,<3",
            "packaging>=24,<28",
            "psycopg[binary]>=3.2.3,<4",
            "PySocks>=1.7.1,<2",
            "pytest>=8,<10",
            "pytest-xdist>=3.6,<4",
            "responses>=0.26,<1",
            "ruff>=0.8,<1",
            "trustme>=1.2,<2",
            "types-jsonschema>=4,<5",
            "types-requests>=2.32,<3",
            "uv>=0.9,<1",
        ],
    },
)
