"""Check that this Python can create the environments of the Makefile; for Python 3.6 and newer."""

import sys

PACKAGE = "python{}.{}-venv".format(*sys.version_info)


def problem() -> str:
    """Return what is missing and what to do in one line; empty if nothing is."""
    if sys.version_info < (3, 10):  # noqa: UP036
        return "Python 3.10 or newer is needed, for example: make PYTHON=python3.12 demo"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            "This Python cannot create environments. Debian and Ubuntu: sudo apt install "
            f"python3-venv (or {PACKAGE}). Elsewhere, install Python with venv and ensurepip."
        )
    return ""


if __name__ == "__main__":
    sys.exit(problem() or 0)
