"""The start of the command; ``python -m tap_klaviyo`` is the same as ``tap-klaviyo``."""

import os
import sys

from tap_klaviyo.process import (
    exit_at_stop_signals,
    ignore_stop_signals,
    open_standard_files,
    write_error,
)


def main() -> int:
    """Runs the command and returns its exit code. Signals and files come before the imports."""
    open_standard_files()
    exit_at_stop_signals()
    try:
        from tap_klaviyo.cli import main as run
        from tap_klaviyo.limits import is_memory_short

        code = run()
        if code and is_memory_short():
            # The end of Python would fail, and say so after the last line.
            os._exit(code)
        return code
    except Exception as error:
        # Not even the modules that report errors could be loaded.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        write_error("CRITICAL", f"tap-klaviyo cannot start: {reason}")
        os._exit(1)
    finally:
        ignore_stop_signals()


if __name__ == "__main__":
    sys.exit(main())
