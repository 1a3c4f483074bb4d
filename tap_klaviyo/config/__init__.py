"""The settings: read, checked and described."""
