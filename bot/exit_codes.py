"""How the processes of this project end; docs/operators.md explains each code to operators.

Standard library only and readable by any python3: launch.py imports it before it knows which Python runs it.
"""

OK = 0
UNEXPECTED = 1
"""A bug, or a failed check or test."""
USAGE = 2
"""Unknown sub-command or option."""
OFFLINE = 68
"""Discord cannot be reached (EX_NOHOST of sysexits.h)."""
ENVIRONMENT = 69
"""`.venv` could not be prepared."""
PYTHON_TOO_OLD = 70
DATABASE = 71
"""Damaged, locked, unwritable, or written by a newer version."""
SECOND_BOT = 72
"""Another bot already uses this data folder."""
TOKEN = 73
"""Discord refused DISCORD_TOKEN."""
PORT_TAKEN = 74
WORKER = 75
"""The worker cannot start."""
SETTINGS = 78
"""`.env` or the environment holds a value that cannot be used (EX_CONFIG of sysexits.h)."""
INTERRUPTED = 130
"""Ctrl-C before the bot was up, or a bot that had to be ended by force."""
