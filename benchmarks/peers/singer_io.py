"""Runs singer-io's tap-klaviyo on another address; for an environment that has it.

Its arguments are the tap's own. The address stands in KLAVIYO_URL.
"""

import os

import tap_klaviyo

ENDPOINTS: dict[str, str] = vars(tap_klaviyo)["ENDPOINTS"]
for name, address in ENDPOINTS.items():
    ENDPOINTS[name] = address.replace("https://a.klaviyo.com", os.environ["KLAVIYO_URL"])
vars(tap_klaviyo)["main"]()
