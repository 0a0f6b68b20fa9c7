"""The catalogue: entries of the file that ships, an operator's own on top, and in what is still empty whatever
`models verify` found out.

An operator's file `catalogue.toml` in the data folder adds entries or, by the key of one that ships, changes single
fields of it. `catalogue-found.toml` beside it is written by `models verify` alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from rapidfuzz import fuzz, process

from bot.catalogue.reader import CatalogueError, FoundRow, ModelRow, read_rows
from bot.errors import UserFacingError
from gpu_worker.protocol.messages import ModelKind

__all__ = [
    "SHIPPED", "Catalogue", "Entry", "UnknownNameError", "load_catalogue", "operator_file", "operators_catalogue",
    "verified_file",
]  # fmt: skip

SHIPPED = Path(__file__).with_name("models.toml")
_SUGGESTIONS = 3
_ALIKE = 60
"""Per cent; below it only the closest is named."""


class UnknownNameError(UserFacingError):
    """Neither an entry nor a set: `catalogue_unknown` with `name` and `closest`."""

    def __init__(self, name: str, closest: str) -> None:
        super().__init__("catalogue_unknown", name=name, closest=closest)


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    title: str
    kind: ModelKind
    family: str | None
    """`sd1`, `sd2`, `sdxl` or `sdxl_refiner`; None where a file serves any, or none."""
    name: str
    """Its file's name in the library, without a suffix; empty where only the source knows it."""
    urls: tuple[str, ...]
    """The same file at several places, best first."""
    sha256: str | None
    size_bytes: int | None
    licence: str
    """As its publisher names it; empty where nobody said so."""
    page: str
    allow_pickle: bool
    """The file is a pickle and may pass, once, if it is exactly the one with `sha256`; it is stored as safetensors."""
    sets: tuple[str, ...]
    beside_url: str = ""
    """A small file that it does not work without, and that is put beside it under its name; empty for most."""
    beside_sha256: str | None = None

    @property
    def unverified(self) -> tuple[str, ...]:
        """The fields that nobody could fill from a source yet."""
        empty = {"urls": not self.urls, "sha256": self.sha256 is None, "size_bytes": self.size_bytes is None}
        return tuple(field for field, is_empty in empty.items() if is_empty)

    @property
    def installable(self) -> bool:
        """There is an address and a hash to hold the file to."""
        return bool(self.urls) and self.sha256 is not None and (not self.beside_url or self.beside_sha256 is not None)

    @property
    def address(self) -> str:
        """What `models verify` asks about."""
        return self.urls[0] if self.urls else self.page


@dataclass(frozen=True)
class Catalogue:
    entries: tuple[Entry, ...]

    @property
    def sets(self) -> Mapping[str, tuple[Entry, ...]]:
        """In the order in which they first appear."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            for name in entry.sets:
                found.setdefault(name, []).append(entry)
        return MappingProxyType({name: tuple(members) for name, members in found.items()})

    def get(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)

    def by_sha256(self, sha256: str) -> Entry | None:
        """The entry of a file, whatever it is called."""
        return next((entry for entry in self.entries if entry.sha256 == sha256.lower()), None)

    def family_of(self, sha256: str) -> str | None:
        """For a library that asks about a file's hash."""
        entry = self.by_sha256(sha256)
        return entry.family if entry else None

    def find(self, wanted: Iterable[str]) -> tuple[Entry, ...]:
        """Entries of the given keys and sets in the given order, each once. Raises UnknownNameError."""
        sets = self.sets
        found: dict[str, Entry] = {}
        for word in wanted:
            name = word.strip().lower()
            entry = self.get(name)
            if entry is None and name not in sets:
                names = [*(entry.key for entry in self.entries), *sets]
                near = process.extract(name, names, scorer=fuzz.ratio, limit=_SUGGESTIONS)
                good = [match[0] for match in near if match[1] >= _ALIKE] or [match[0] for match in near[:1]]
                raise UnknownNameError(word, ", ".join(good))
            for member in sets[name] if entry is None else (entry,):
                found[member.key] = member
        return tuple(found.values())


def operator_file(data: Path) -> Path:
    """Where an operator writes entries of their own; it need not exist."""
    return data / "catalogue.toml"


def verified_file(data: Path) -> Path:
    """Where `models verify` writes; it need not exist."""
    return data / "catalogue-found.toml"


def load_catalogue(path: Path = SHIPPED) -> Catalogue:
    """One file by itself. Raises CatalogueError."""
    return Catalogue(_entries(path, {}))


def operators_catalogue(data: Path, shipped: Path = SHIPPED) -> Catalogue:
    """What ships, with the two files of this data folder. Raises CatalogueError, with the file that is wrong."""
    entries = {entry.key: entry for entry in _entries(shipped, {})}
    own = operator_file(data)
    if own.exists():
        entries |= {entry.key: entry for entry in _entries(own, entries)}
    found = verified_file(data)
    if found.exists():
        for row, _ in read_rows(found, "found", FoundRow):
            if row.key in entries:
                entries[row.key] = _filled(entries[row.key], row)
    return Catalogue(tuple(entries.values()))


def _entries(file: Path, known: Mapping[str, Entry]) -> tuple[Entry, ...]:
    """`known` are the entries that a row may change single fields of."""
    rows = read_rows(file, "model", ModelRow)
    made = tuple(_entry(file, row, line, known.get(row.key)) for row, line in rows)
    everything = {**known, **{entry.key: entry for entry in made}}
    sets = {name for entry in everything.values() for name in entry.sets}
    for entry, (_, line) in zip(made, rows, strict=True):
        # A word at the console has to mean one thing.
        if entry.key in sets:
            raise CatalogueError(file, "set_is_key", line=line, field="key", entry=entry.key)
        for name in entry.sets:
            if name in everything:
                raise CatalogueError(file, "set_is_key", line=line, field="sets", entry=name)
    return made


def _entry(file: Path, row: ModelRow, line: int, base: Entry | None) -> Entry:
    given: dict[str, Any] = row.model_dump(exclude_none=True)
    for field in ("urls", "sets"):
        if field in given:
            given[field] = tuple(given[field])
    for field in ("family", "sha256", "size_bytes", "beside_sha256"):
        if field in given:
            given[field] = given[field] or None
    if base is not None:
        if "urls" in given and given["urls"] != base.urls and "sha256" not in given:
            # Another file most likely: the old one's hash would only refuse it.
            given |= {"sha256": None, "size_bytes": given.get("size_bytes")}
        return dataclasses.replace(base, **given)
    for field in ("title", "kind"):
        if field not in given:
            raise CatalogueError(file, "missing_field", line=line, field=field, entry=row.key)
    if not given.get("urls") and not given.get("page"):
        raise CatalogueError(file, "no_source", line=line, field="urls", entry=row.key)
    return Entry(
        key=row.key,
        title=given["title"],
        kind=given["kind"],
        family=given.get("family"),
        name=given.get("name", "") or _name_of(given.get("urls", ())),
        urls=given.get("urls", ()),
        sha256=given.get("sha256"),
        size_bytes=given.get("size_bytes"),
        licence=given.get("licence", ""),
        page=given.get("page", ""),
        allow_pickle=given.get("allow_pickle", False),
        sets=given.get("sets", ()),
        beside_url=given.get("beside_url", ""),
        beside_sha256=given.get("beside_sha256"),
    )


def _name_of(urls: Iterable[str]) -> str:
    """The last part of the first address, if that is a model's file name; a number or an API's name is none."""
    for url in urls:
        part = PurePosixPath(unquote(urlsplit(url).path))
        if part.suffix.lower() in {".safetensors", ".ckpt", ".pt", ".pth", ".bin"}:
            return part.stem
    return ""


def _filled(entry: Entry, row: FoundRow) -> Entry:
    if row.asked not in (*entry.urls, entry.page):
        return entry
    urls = entry.urls or tuple(row.urls)
    return dataclasses.replace(
        entry,
        urls=urls,
        sha256=entry.sha256 or row.sha256 or None,
        size_bytes=entry.size_bytes or row.size_bytes or None,
        name=entry.name or row.name or _name_of(urls),
    )
