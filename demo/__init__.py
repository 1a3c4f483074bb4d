"""A demo without an account: the sandbox, the tap, target-jsonl and DuckDB."""
