"""Detail fix in Discord: the desk of a request's units, and finished pictures."""
