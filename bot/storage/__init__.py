"""One SQLite database in WAL mode, one writer; one repository module per table group."""
