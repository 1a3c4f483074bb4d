"""Packaging. The reason for each dependency stands in docs/architecture.md."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "tap_klaviyo/__init__.py").read_text())[1]

SANDBOX = ["aiohttp>=3.10,<4"]
BATCH = ["fsspec>=2024.6,<2027"]
DEMO = [*SANDBOX, "duckdb>=1.2,<3", "plotext>=5.3,<6"]

setup(
    name="tap-klaviyo",
    version=VERSION,
    description="Singer tap for Klaviyo: every event, as fast as the rate limit allows.",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
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
            "PySocks>=1.7.1,<2",
            "pytest>=8,<10",
            "pytest-xdist>=3.6,<4",
            "responses>=0.26,<1",
            "ruff>=0.8,<1",
            "trustme>=1.2,<2",
            "types-jsonschema>=4,<5",
            "types-requests>=2.32,<3",
        ],
    },
)
