"""The settings: parsed, described, read from files and the environment."""
