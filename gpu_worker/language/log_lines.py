"""Log records as JSON, one object a line, for programs that collect logs. Bot and workers write the same.

Which job, worker or reference a line is about is read from its template (`"job %s failed, reference %s"`), so that no
line of the log has to be written twice; `extra={"job": …}` says it where a template does not.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

__all__ = ["JSON", "LOG_FORMAT", "TEXT", "JsonLines", "LineLog", "catch_the_rest", "message_of"]

TEXT, JSON = "text", "json"
LOG_FORMAT = "PINCEL_LOG_FORMAT"
"""Environment variable that tells a worker how to write."""

FIELDS = ("reference", "job", "worker")
_PLACEHOLDER = re.compile(r"%(?:%|[-#0 +]*[\d.*]*[a-zA-Z])")
_NAMED = re.compile(rf"\b({'|'.join((*FIELDS, 'training'))})\W*$", re.IGNORECASE)
_ALSO = {"training": "job"}
VALUE_CHARS = 80


class JsonLines(logging.Formatter):
    """`always` is in every line."""

    def __init__(self, always: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._always = dict(always or {})

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._always,
            **_found(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exc"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        # ASCII alone: neither a console's encoding nor a line separator of Unicode's can cut a line in two.
        return json.dumps(line, default=str)


def _found(record: logging.LogRecord) -> dict[str, str]:
    found: dict[str, str] = {}
    if isinstance(record.args, tuple):
        for field, place in _places(str(record.msg)):
            if place < len(record.args):
                found.setdefault(field, str(record.args[place])[:VALUE_CHARS])
    for field in FIELDS:
        if field in record.__dict__:
            found[field] = str(record.__dict__[field])[:VALUE_CHARS]
    return found


@functools.lru_cache(maxsize=1024)
def _places(template: str) -> tuple[tuple[str, int], ...]:
    """Which placeholder follows the name of a field."""
    places: list[tuple[str, int]] = []
    number = end = 0
    for placeholder in _PLACEHOLDER.finditer(template):
        if placeholder[0] == "%%":
            continue
        named = _NAMED.search(template, end, placeholder.start())
        if named is not None:
            name = named[1].lower()
            places.append((_ALSO.get(name, name), number))
        number, end = number + 1, placeholder.end()
    return tuple(places)


class LineLog:
    """Takes the place of sys.stderr, so that what libraries print is a line of the log, too."""

    encoding, errors = "utf-8", "replace"

    def __init__(self, logger: logging.Logger, level: int = logging.INFO) -> None:
        self._logger = logger
        self._level = level
        self._rest = ""
        self._turn = threading.RLock()
        self._inside = False

    def write(self, text: str) -> int:
        with self._turn:
            if self._inside:  # the log itself cannot be written, and says so here
                return len(text)
            # Bars of progress go back to the start of their line.
            *lines, self._rest = re.split(r"[\r\n]", self._rest + text)
            self._inside = True
            try:
                for line in filter(str.strip, lines):
                    self._logger.log(self._level, "%s", line.rstrip())
            finally:
                self._inside = False
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """A line that is not over waits for its end."""

    def fileno(self) -> int:
        """For what writes below Python."""
        return 2

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


def catch_the_rest(logger: logging.Logger) -> None:
    """What would be printed to stderr from now on becomes lines of the log: warnings, uncaught errors, prints. Only
    what is written below Python, such as a driver's last words, stays as it is."""

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.critical("uncaught", exc_info=(kind, error, trace))

    logging.captureWarnings(True)

    def uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
            uncaught(told.exc_type, told.exc_value, told.exc_traceback)

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
    sys.stdout = sys.stderr = LineLog(logger)


def message_of(line: str) -> str:
    """What a line of a log says, whichever way it is written."""
    if line.startswith("{"):
        try:
            return str(json.loads(line)["message"])
        except (ValueError, KeyError):
            return line
    return line
