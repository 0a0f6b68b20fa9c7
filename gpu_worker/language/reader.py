"""`python -m gpu_worker.language.reader [--hurry]`: reads model files for somebody who must not be disturbed by them.

A process of its own, because a hostile header may cost memory and time; whoever started it can end it. Requests and
answers are lines of JSON: `[number, kind, path, sidecar names]` and `[number, reading, sidecars]`, where the reading is
null if the file cannot be opened now.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from gpu_worker.language.details import WORD_CHARS_MAX, Details, clean_words, one_line
from gpu_worker.language.kinds import read_file
from gpu_worker.language.layouts import Reading
from gpu_worker.language.sidecars import Sidecars, read_sidecars

__all__ = ["be_modest", "main", "pack_reading", "pack_sidecars", "unpack_reading", "unpack_sidecars"]

MEMORY_LIMIT_BYTES = 4 << 30
"""A header of the largest size that is let in needs less."""
NICENESS = 10


def pack_reading(reading: Reading) -> dict[str, Any]:
    """Only what is not usual; plain JSON."""
    usual = Reading()
    packed = {
        field.name: value
        for field in dataclasses.fields(Reading)
        if (value := getattr(reading, field.name)) != getattr(usual, field.name)
    }
    if "details" in packed:
        packed["details"] = dataclasses.asdict(reading.details)
    return packed


def unpack_reading(packed: dict[str, Any]) -> Reading:
    """Cleaned once more: what an earlier version let through lies in databases. Raises TypeError, ValueError and
    KeyError for what `pack_reading` of another version made."""
    details: dict[str, Any] = dict(packed.get("details") or {})
    details["metadata"] = _cleaned(details.get("metadata"))
    details["trigger_words"] = clean_words(details.get("trigger_words", ()))
    alias = one_line(packed.get("alias") or "", WORD_CHARS_MAX) or None
    values: dict[str, Any] = {**packed, "alias": alias, "details": Details(**details)}
    return Reading(**values)


def pack_sidecars(sidecars: Sidecars) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(sidecars).items() if value}


def unpack_sidecars(packed: dict[str, Any]) -> Sidecars:
    """Cleaned as readings are. Raises TypeError, ValueError for what `pack_sidecars` of another version made."""
    values: dict[str, Any] = {**packed, "metadata": _cleaned(packed.get("metadata"))}
    values["trigger_words"] = clean_words(packed.get("trigger_words", ()))
    for name in ("title", "base"):
        values[name] = one_line(packed.get(name) or "") or None
    return Sidecars(**values)


def _cleaned(metadata: Any) -> dict[str, str]:
    return {one_line(key, WORD_CHARS_MAX): one_line(value) for key, value in dict(metadata or {}).items()}


def main() -> int:
    be_modest(hurry="--hurry" in sys.argv[1:])
    for line in sys.stdin:
        number, kind, place, names = json.loads(line)
        path = Path(place)
        try:
            reading = pack_reading(read_file(kind, path))
        except OSError:
            reading = None
        sidecars = pack_sidecars(read_sidecars(path.parent, names)) if names else {}
        sys.stdout.write(json.dumps([number, reading, sidecars]) + "\n")
        sys.stdout.flush()
    return 0


def be_modest(*, hurry: bool = False) -> None:
    """A bound on memory and, unless somebody waits for it, lower priority, where the system has such."""
    if not hurry:
        with contextlib.suppress(AttributeError, OSError):
            os.nice(NICENESS)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


if __name__ == "__main__":
    sys.exit(main())
