"""Wildcards: lists of values by name, from the operator's folder, one folder a server, and a few that ship.

Read on a thread, again whenever a file changed, and bounded: what is over the limits is left out and logged.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import yaml

from bot.domain.template_syntax import wildcards_in

__all__ = ["SHIPPED", "WildcardBook", "read_values"]

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "shipped"
SERVERS = "servers"
"""A folder of this name holds, by a server's id, what its admins added; nobody else sees that."""
FILES_MAX = 5000
FILE_BYTES_MAX = 2 << 20
ALL_BYTES_MAX = 64 << 20
NEEDED_BYTES_MAX = 8 << 20
VALUE_CHARS_MAX = 6000
DEPTH_MAX = 12
SPARE_BYTES = 1 << 20
ALIASED = 16
"""How often a file may repeat itself, as a whole, by aliases."""
KEY_BYTES = 64
"""What a name costs beside its characters."""
MERGED_MAX = 20_000
"""Keys that the merges (`<<`) of one file may copy."""
SUFFIXES = (".txt", ".yaml", ".yml", ".json")

Entries = tuple[tuple[str, float], ...]
Stamp = tuple[int, int]
"""Time of change in nanoseconds and size in bytes."""


@dataclass
class _File:
    stamp: Stamp
    values: dict[str, Entries]


@dataclass
class WildcardBook:
    """Every method blocks for reading, and may be called from any thread."""

    folder: Path
    shipped: Path = SHIPPED
    _files: dict[Path, _File] = field(default_factory=dict[Path, _File])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def values(self, guild_id: int | None = None) -> dict[str, Entries]:
        """Name → values, as they are now. A server's own go before the operator's, and those before what ships."""
        with self._lock:
            found: dict[str, Entries] = {}
            own = [self.folder / SERVERS / str(guild_id)] if guild_id is not None else []
            seen: set[Path] = set()
            for root in (self.shipped, self.folder, *own):
                for path, stamp in _listed(root):
                    seen.add(path)
                    known = self._files.get(path)
                    if known is None or known.stamp != stamp:
                        known = self._files[path] = _File(stamp, read_values(path, root))
                    found |= known.values
            for path in [path for path in self._files if path not in seen and SERVERS not in path.parts]:
                del self._files[path]
            return found

    def names(self, guild_id: int | None = None) -> list[str]:
        return sorted(self.values(guild_id))

    def needed(self, text: str, *, guild_id: int | None = None) -> dict[str, Entries]:
        """What a template of this text can come to, through values that name other wildcards."""
        values = self.values(guild_id)
        wanted = wildcards_in(text)
        found: dict[str, Entries] = {}
        asked: set[str] = set()
        size = 0
        while wanted:
            pattern = wanted.pop()
            if pattern in asked:
                continue
            asked.add(pattern)
            if "{" in pattern or "$" in pattern:
                return _cut(values)  # its name is drawn, too
            for name in _matching(pattern, values):
                if name in found:
                    continue
                found[name] = values[name]
                for entry, _ in values[name]:
                    size += len(entry)
                    wanted += wildcards_in(entry)
            if size > NEEDED_BYTES_MAX:
                break
        return found


def _matching(pattern: str, values: Mapping[str, Entries]) -> list[str]:
    """As the library looks: the whole name or pattern, else at the end of any path."""
    found = [name for name in values if fnmatch(name, pattern)]
    return found or [name for name in values if fnmatch(name, f"**/{pattern}")]


def _cut(values: Mapping[str, Entries]) -> dict[str, Entries]:
    found: dict[str, Entries] = {}
    left = NEEDED_BYTES_MAX
    for name, entries in values.items():
        left -= sum(len(text) for text, _ in entries)
        if left < 0:
            break
        found[name] = entries
    return found


def _listed(root: Path) -> Iterator[tuple[Path, Stamp]]:
    """The files of a folder that are read, in the order of their names."""
    files = left = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != SERVERS)
        for name in sorted(names):
            path = Path(folder) / name
            if path.suffix.lower() not in SUFFIXES or name.startswith("."):
                continue
            try:
                facts = path.stat()
            except OSError:
                continue
            files, left = files + 1, left + facts.st_size
            if files > FILES_MAX or left > ALL_BYTES_MAX or facts.st_size > FILE_BYTES_MAX:
                log.warning("the wildcards of %s are more than is read: left out", path)
                left -= facts.st_size
                continue
            yield path, (facts.st_mtime_ns, facts.st_size)


def read_values(path: Path, root: Path) -> dict[str, Entries]:
    """The wildcards of one file, by their names; none where it cannot be read.

    A text file is one of its own name, a line each; in YAML and JSON the keys are a path (behaviours §19.1).
    """
    try:
        text = path.read_bytes()[:FILE_BYTES_MAX].decode("utf-8-sig", "ignore")
        folder = path.parent.relative_to(root).as_posix()
        prefix = "" if folder == "." else f"{folder}/"
        if path.suffix.lower() == ".txt":
            lines = (line.strip() for line in text.splitlines())
            kept = tuple((line[:VALUE_CHARS_MAX], 1.0) for line in lines if line and not line.startswith("#"))
            return {f"{prefix}{path.stem}": kept} if kept else {}
        data: Any = json.loads(text) if path.suffix.lower() == ".json" else yaml.load(text, Loader=_Loader)  # noqa: S506
        if isinstance(data, list):
            data = {path.stem: cast("object", data)}
        left = [min(ALL_BYTES_MAX, SPARE_BYTES + ALIASED * len(text))]
        return {f"{prefix}{name}": entries for name, entries in _structured(data, left)} if data else {}
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        log.warning("the wildcards of %s cannot be read: %s", path, str(error)[:200])
        return {}


_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Safe loaders make nothing but plain values; the one in C is ten times as fast."""


class _Loader(_SAFE):
    merged = 0

    def flatten_mapping(self, node: Any) -> None:
        """As YAML's own, within bounds: a merge copies what others merged before."""
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(part, yaml.MappingNode):
                        self.flatten_mapping(part)
                        self.merged += len(part.value)
                    if self.merged > MERGED_MAX:
                        raise yaml.YAMLError("too much is merged")
        _SAFE.flatten_mapping(self, node)


def _structured(data: Any, left: list[int], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Entries]]:
    """`left` is how many bytes may still come, as aliases let a small file stand for a huge one."""
    if len(path) > DEPTH_MAX or left[0] < 0:
        return
    if isinstance(data, dict):
        for key, value in cast("dict[object, object]", data).items():
            left[0] -= KEY_BYTES
            if left[0] < 0:
                return
            if isinstance(key, str) and value:
                yield from _structured(value, left, (*path, key.strip("/")))
        return
    items = cast("list[object]", data) if isinstance(data, list) else [data]
    entries: list[tuple[str, float]] = []
    for item in items:
        entry = _entry(item)
        if entry is None:
            continue
        left[0] -= len(entry[0]) + 1
        if left[0] < 0:
            return
        entries.append(entry)
    if entries and path:
        left[0] -= KEY_BYTES + sum(map(len, path))
        yield "/".join(path), tuple(entries)


def _entry(item: object) -> tuple[str, float] | None:
    if isinstance(item, dict):
        given = cast("dict[str, object]", item)
        said, weight = given.get("text") or given.get("content"), given.get("weight", 1)
        text = str(said) if isinstance(said, str | int | float) else ""
        return (text[:VALUE_CHARS_MAX], float(weight)) if text and isinstance(weight, int | float) else None
    text = str(item).strip() if isinstance(item, str | int | float) else ""
    weight, colons, rest = text.rpartition("::")
    if colons and text[:1].isdigit():
        try:
            return rest[:VALUE_CHARS_MAX], float(weight)
        except ValueError:
            pass
    return (text[:VALUE_CHARS_MAX], 1.0) if text else None
