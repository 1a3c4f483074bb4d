"""Runs ``make demo`` in a terminal of 100 columns and writes its last screen to docs/demo.svg.

``python -m tools.record_demo`` needs a system with pseudo terminals, so not Windows. Run ``make
demo`` once before, so that the recording does not contain the installation.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "demo.svg"

COMMAND = ("make", "--no-print-directory", "demo")
COLUMNS = 100
LINES = 62

SHOWN_FOLDER = "~/tap-klaviyo"
"""What the picture shows instead of the folder of this checkout."""

CONTROL = re.compile(r"\r\n|\n|\r|\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[lh]|\x1b\[[0-9;]*m|[^\r\n\x1b]+")


def main() -> int:
    """Records, writes the picture, and returns the exit code of the command."""
    output, code = record(COMMAND)
    if code == 0:
        text = "\n".join(screen(output.decode())[-LINES:])
        PICTURE.write_text(picture(text.replace(str(ROOT), SHOWN_FOLDER)), "utf-8")
    return code


def record(command: tuple[str, ...]) -> tuple[bytes, int]:
    """What a command writes to a terminal, and its exit code."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(ROOT)
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", COLUMNS=str(COLUMNS))
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    output = io.BytesIO()
    try:
        while piece := os.read(terminal, 2**16):
            output.write(piece)
    except OSError:
        pass  # This is how Linux reports the end of a terminal's output.
    _, status = os.waitpid(process, 0)
    return output.getvalue(), os.waitstatus_to_exitcode(status)


def screen(output: str) -> list[str]:
    """The lines that are left on the terminal, with their colours.

    Knows only what rich writes: moves to the start of a line and up, and erasing a whole line.
    """
    lines, row = [""], 0
    restart = False
    for token in CONTROL.findall(output):
        if token in ("\n", "\r\n"):
            row, restart = row + 1, False
            lines += [""] * (row + 1 - len(lines))
        elif token == "\r":
            restart = True
        elif token.endswith("A") and token.startswith("\x1b"):
            row = max(0, row - int(token[2:-1] or 1))
        elif token == "\x1b[2K":
            lines[row], restart = "", False
        elif not token.startswith("\x1b[?"):
            lines[row] = token if restart else lines[row] + token
            restart = False
    return lines


def picture(text: str) -> str:
    """A text with colours as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text.rstrip()), soft_wrap=False)
    return console.export_svg(title="tap-klaviyo", unique_id="demo")


if __name__ == "__main__":
    sys.exit(main())
