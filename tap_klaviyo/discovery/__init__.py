"""The catalog: written from the registry and the schemas, and read back as a selection."""
