"""``python -m tap_klaviyo`` is the same as ``tap-klaviyo``."""

import sys

from tap_klaviyo.cli import main

sys.exit(main())
