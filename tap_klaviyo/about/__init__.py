"""What ``--about`` and the documentation say of the tap: settings, streams, fields, limits."""
