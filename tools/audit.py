"""Check constraints.txt for known vulnerabilities with pip-audit; used by ``make audit``.

    python -m tools.audit PIP_AUDIT                  fail if nothing or not everything was audited
    python -m tools.audit PIP_AUDIT --if-possible    only say so if nothing was audited

pip-audit asks PyPI about each version. A mirror of PyPI may have packages without these answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = ("--no-deps", "--disable-pip", "--requirement", "constraints.txt", "--format", "json")
TIMEOUT = 300.0

NOTHING = (
    "Nothing was audited: {reason}. Run make audit on a machine that reaches https://pypi.org "
    "itself."
)
NO_ANSWERS = "the package index has no answers about vulnerabilities for any of {count} packages"


def main(arguments: Sequence[str]) -> int:
    """Audit, print the result and return the exit code."""
    program, *options = arguments
    try:
        done = subprocess.run(
            [program, *OPTIONS],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        lines, code = result(json.loads(done.stdout)["dependencies"], "--if-possible" in options)
    except subprocess.TimeoutExpired:
        lines, code = _nothing(f"no answer within {TIMEOUT:.0f} s", "--if-possible" in options)
    except ValueError:
        reason = (done.stderr.strip() or "pip-audit printed nothing").splitlines()[-1].rstrip(".")
        lines, code = _nothing(reason, "--if-possible" in options)
    print("\n".join(lines))
    return code


def result(packages: Sequence[dict[str, Any]], if_possible: bool) -> tuple[list[str], int]:
    """Return the lines to print and the exit code, from pip-audit's list of packages."""
    skipped = [package for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        return _nothing(NO_ANSWERS.format(count=len(packages)), if_possible)
    lines = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version'}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    ]
    lines += [f"{package['name']} was not audited: {package['skip_reason']}" for package in skipped]
    audited = len(packages) - len(skipped)
    if not lines:
        return [f"Audited {audited} packages: no known vulnerabilities."], 0
    return [
        *lines,
        f"Audited {audited} of {len(packages)} packages; update with make constraints.",
    ], 1


def _nothing(reason: str, if_possible: bool) -> tuple[list[str], int]:
    return [NOTHING.format(reason=reason)], int(not if_possible)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
