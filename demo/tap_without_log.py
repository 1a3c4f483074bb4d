"""``python -m demo.tap_without_log``: the tap that logs errors only, so that the bars stand alone.

The demo runs it on a terminal; otherwise the log of the tap itself goes to a file.
"""

from __future__ import annotations

import logging
import sys

from tap_klaviyo.__main__ import main

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(main())
