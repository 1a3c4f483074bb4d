"""From a clone to rows in a table: the sandbox, the tap, a target and an embedded database."""
