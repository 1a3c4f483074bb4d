"""The shape of the package: imports point one way, and no module is too long."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tap_klaviyo"
TAP = sorted({*PACKAGE.rglob("*.py")} - {PACKAGE / "__init__.py"})
"""All modules but the package itself, which loads the library's names when they are used."""
SANDBOX = sorted((ROOT / "sandbox").rglob("*.py"))

LAYERS = [
    {"__main__"},
    {"cli"},
    {"arguments"},
    {"ending", "tap"},
    {"verify"},
    {"sync", "check", "about"},
    {"config"},
    {"records", "reports", "batches"},
    {"discovery", "klaviyo", "messages", "state", "batch_storage"},
    {"streams"},
    {"errors", "dates", "logs"},
    {"redaction", "limits", "process"},
]
"""The packages and top-level modules from the top down; an import leads to a lower layer."""

PURE: dict[str, set[str]] = {
    "klaviyo.pagination": {"errors"},
    "klaviyo.queries": {"streams"},
    "klaviyo.response": {"errors"},
    "klaviyo.retries": set(),
    "klaviyo.server_clock": set(),
    "klaviyo.urls": set(),
    "records": {"dates", "discovery", "streams"},
    "sync.day_ranges": {"errors", "logs", "state"},
    "sync.windows": set(),
    "sync.workers": set(),
    "verify.comparison": {"state"},
    "verify.missing_rows": {"state", "sync"},
    "messages": {"errors"},
    "state": {"dates", "errors"},
    "streams": set(),
    "dates": set(),
    "errors": {"limits", "redaction"},
    "limits": set(),
    "process": set(),
    "redaction": set(),
}
"""Modules and packages that can be understood alone, with all that they may import of the tap."""

OUTSIDE: dict[str, set[str]] = {
    "requests": {"klaviyo"},
    "urllib3": {"klaviyo"},
    "backoff": {"klaviyo"},
    "threading": {"klaviyo", "sync", "tap"},
    "rich": {"sync"},
    "socket": {"klaviyo"},
    "singer": {"cli"},
}
"""The packages that alone may import what reaches outside the process."""


def part_of(file: Path) -> str:
    """The package or top-level module that a file of the tap belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(file: Path) -> set[str]:
    """The full names of all modules that a file imports, at any place in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"relative import in {file}"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def parts_imported(file: Path) -> set[str]:
    """The other packages and top-level modules of the tap that a file imports."""
    known = {part_of(path) for path in TAP}
    parts = {name.split(".")[1] for name in imported(file) if name.startswith("tap_klaviyo.")}
    return (parts & known) - {part_of(file)}


def test_every_part_has_a_layer() -> None:
    """The list of layers names each package and top-level module once."""
    assert sorted(part for layer in LAYERS for part in layer) == sorted({*map(part_of, TAP)})


@pytest.mark.parametrize("file", TAP, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    """A module imports only from layers below its own."""
    part = part_of(file)
    own = next(index for index, layer in enumerate(LAYERS) if part in layer)
    below = {name for layer in LAYERS[own + 1 :] for name in layer}
    assert parts_imported(file) <= below


def test_modules_of_a_package_import_without_cycles() -> None:
    """Within a package, too, no module imports itself through others."""
    names = {
        ".".join(file.with_suffix("").relative_to(ROOT).parts).removesuffix(".__init__"): file
        for file in TAP
    }
    imports = {name: imported(file) & names.keys() for name, file in names.items()}
    while leaves := {name for name, used in imports.items() if not used}:
        imports = {n: used - leaves for n, used in imports.items() if n not in leaves}
    assert not imports


@pytest.mark.parametrize("name", PURE)
def test_pure_modules(name: str) -> None:
    """Pure modules and packages import nothing of the tap but what they are made for."""
    path = PACKAGE.joinpath(*name.split("."))
    for file in sorted(path.rglob("*.py")) or [path.with_suffix(".py")]:
        assert parts_imported(file) <= PURE[name], file


@pytest.mark.parametrize("package", OUTSIDE)
def test_what_reaches_outside_has_one_place(package: str) -> None:
    """HTTP, threads and the terminal are used in one package each."""
    users = {part_of(f) for f in TAP if package in {name.split(".")[0] for name in imported(f)}}
    assert users <= OUTSIDE[package]


def test_stdout_has_one_writer() -> None:
    """Only the module that writes messages prints to stdout or opens it."""
    for file in TAP:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in ("sys.stdout", "sys.__stdout__"), file
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                assert "file=sys.stderr" in ast.unparse(node)


def test_tap_and_sandbox_share_no_code() -> None:
    """Tap and sandbox import nothing from each other, so that they can disagree."""
    assert SANDBOX
    for files, other in ((TAP, "sandbox"), (SANDBOX, "tap_klaviyo")):
        for file in files:
            assert other not in {name.split(".")[0] for name in imported(file)}, file


@pytest.mark.parametrize(
    ("folder", "longest"), [("tap_klaviyo", 350), ("sandbox", 350), ("tools", 350), ("tests", 400)]
)
def test_size(folder: str, longest: int) -> None:
    """No module is longer than 350 lines, no test module longer than 400."""
    for file in (ROOT / folder).rglob("*.py"):
        assert len(file.read_text("utf-8").splitlines()) <= longest, file


def test_packages_hold_more_than_one_module() -> None:
    """A package of one module would be a module."""
    for package in {file.parent for file in TAP}:
        assert len([*package.glob("*.py")]) > 2, package
