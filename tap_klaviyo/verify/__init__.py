"""``--verify``: compares Klaviyo's counts of events with what the last readings have brought."""
