"""Runs singer-io's tap-klaviyo against the address in KLAVIYO_URL, in its own environment.

The arguments are those of the tap.
"""

import os

import tap_klaviyo

ENDPOINTS: dict[str, str] = vars(tap_klaviyo)["ENDPOINTS"]
for name, address in ENDPOINTS.items():
    ENDPOINTS[name] = address.replace("https://a.klaviyo.com", os.environ["KLAVIYO_URL"])
vars(tap_klaviyo)["main"]()
