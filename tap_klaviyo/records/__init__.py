"""Pages in, RECORD lines out: bytes to bytes, no network."""
