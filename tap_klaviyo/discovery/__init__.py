"""The catalog: bundled schemas and the registry in, a selection out."""
