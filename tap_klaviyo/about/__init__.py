"""The tap described: settings, streams, fields and limits."""
