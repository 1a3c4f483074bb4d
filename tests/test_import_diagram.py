"""The drawing of the package's imports."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tools import import_diagram

SVG = "{http://www.w3.org/2000/svg}"


def test_drawings_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """Both drawings are what the current imports give."""
    assert import_diagram.main(["--check"]) == 0, capsys.readouterr().out


def test_check_names_what_is_out_of_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check fails and names the file if a drawing differs."""
    monkeypatch.setattr(import_diagram, "svg", lambda: "<svg/>")
    assert import_diagram.main(["--check"]) == 1
    assert "docs/architecture.svg is out of date" in capsys.readouterr().out


def test_every_package_and_module_is_drawn() -> None:
    """The nodes are the packages and modules of the tap, without those that only add arrows."""
    entries = [path for path in import_diagram.PACKAGE.iterdir() if not path.name.startswith("_")]
    names = {
        path.stem for path in entries if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert import_diagram.imports().keys() == names


def test_imports_are_read_at_any_place(tmp_path: Path) -> None:
    """Imports within functions and packages count, those of a package from itself do not."""
    package = tmp_path / "pkg"
    (package / "sub").mkdir(parents=True)
    (package / "a.py").write_text("def f():\n    from pkg.sub import one\n    import pkg.b\n")
    (package / "b.py").write_text("import json\n")
    (package / "sub" / "one.py").write_text("from pkg import b\nfrom pkg.sub import two\n")
    assert import_diagram.imports(package) == {"a": {"b", "sub"}, "b": set(), "sub": {"b"}}


GRAPH = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset()}


def test_imports_that_follow_from_others_are_left_out() -> None:
    """The arrow from a to c follows from those from a to b and from b to c."""
    assert import_diagram.reduced(GRAPH) == {**GRAPH, "a": frozenset("b")}


def test_rows_lead_down() -> None:
    """A node is in the lowest row above all that it imports."""
    assert import_diagram.layers({**GRAPH, "d": frozenset("c")}) == [["a"], ["b", "d"], ["c"]]


def test_cycles_are_refused() -> None:
    """Imports in a cycle have no layers, and the error names them."""
    with pytest.raises(ValueError, match=r"cycle: a, b, c"):
        import_diagram.layers({**GRAPH, "c": frozenset("a")})


def test_a_document_needs_the_markers() -> None:
    """A document without the markers is an error, so that the drawing cannot get lost."""
    with pytest.raises(ValueError, match="markers"):
        import_diagram.document("# Architecture\n")


def test_the_picture_fits_a_page() -> None:
    """The picture is well-formed, at most 900 pixels wide, and has a box for each node."""
    picture = ET.fromstring(import_diagram.svg())
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    boxes = picture.findall(f"{SVG}rect")
    assert width <= 900
    assert len(boxes) == len(import_diagram.imports())
    for box in boxes:
        assert 0 <= float(box.attrib["x"]) <= width - float(box.attrib["width"])
        assert 0 <= float(box.attrib["y"]) <= height - float(box.attrib["height"])
