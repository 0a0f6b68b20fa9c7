"""Reading a catalogue file strictly: whatever is wrong is named by file, line and field."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.errors import PincelError
from bot.i18n import Texts
from gpu_worker.protocol.messages import ModelKind

__all__ = ["URLS_MAX", "CatalogueError", "FoundRow", "ModelRow", "Name", "read_rows"]

FILE_LIMIT_BYTES = 4_000_000
URLS_MAX = 8
NAMES = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,58}[a-z0-9])?")
"""What keys and sets look like: they are typed at a console."""
_WINDOWS_DEVICES = frozenset({"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10)})


class CatalogueError(PincelError):
    """A catalogue file cannot be used. `reason` is a key below `catalogue.problem`; `line` counts from 1, 0 unknown."""

    def __init__(self, file: Path, reason: str, *, line: int = 0, field: str = "", entry: str = "") -> None:
        super().__init__(f"{file}:{line}: {field} {reason} {entry}".strip())
        self.file, self.reason, self.line, self.field, self.entry = file, reason, line, field, entry

    def sentence(self, say: Texts) -> str:
        """Where it is, what is wrong, what to do: for an operator, who can edit the file."""
        place = say("catalogue.place", file=self.file, line=self.line) if self.line else str(self.file)
        what = say(f"catalogue.problem.{self.reason}", field=self.field, entry=self.entry or "[[model]]")
        return say("catalogue.error", place=place, what=what)


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    else:
        whole = whole and parts.scheme == "https" and "@" not in parts.netloc
    if not whole or not value.isprintable() or " " in value:
        raise ValueError("url")
    return value


def _sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ValueError("sha256")
    return value.lower()


def _file_name(value: str) -> str:
    """A name that every file system takes, and that stays inside its folder."""
    stem = value.partition(".")[0].strip().lower()
    if (
        not value.isprintable()
        or re.search(r'[<>:"/\\|?*]', value)
        or value != value.strip()
        or value.startswith(".")
        or value.endswith(".")
        or stem in _WINDOWS_DEVICES
    ):
        raise ValueError("name")
    return value


def _plain(value: str) -> str:
    if not value.isprintable():
        raise ValueError("text")
    return value


def _empty_or(check: Any) -> Any:
    return AfterValidator(lambda value: value and check(value))


Name = Annotated[str, StringConstraints(pattern=f"^(?:{NAMES.pattern})$", max_length=60)]
Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_url)]
Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(_plain)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelRow(_Row):
    """One `[[model]]` as it is written. Only the key is required: an operator's row may change a single field."""

    key: Name
    title: Annotated[Text, StringConstraints(min_length=1)] | None = None
    kind: ModelKind | None = None
    family: Annotated[str, StringConstraints(pattern=r"^(?:|sd1|sd2|sdxl|sdxl_refiner)$")] | None = None
    name: Annotated[str, StringConstraints(max_length=100), _empty_or(_file_name)] | None = None
    urls: Annotated[list[Url], Field(max_length=URLS_MAX)] | None = None
    sha256: Annotated[str, _empty_or(_sha256)] | None = None
    size_bytes: Annotated[int, Field(ge=0, le=2**41)] | None = None
    licence: Text | None = None
    page: Annotated[str, StringConstraints(max_length=2000), _empty_or(_url)] | None = None
    allow_pickle: bool | None = None
    sets: Annotated[list[Name], Field(max_length=20)] | None = None
    beside_url: Annotated[str, StringConstraints(max_length=2000), _empty_or(_url)] | None = None
    beside_sha256: Annotated[str, _empty_or(_sha256)] | None = None


class FoundRow(_Row):
    """One `[[found]]` of the file that `models verify` writes. `asked` is the address that was asked: where the entry
    names another one meanwhile, the row is out of date."""

    key: Name
    asked: Url
    urls: Annotated[list[Url], Field(max_length=URLS_MAX)] = Field(default_factory=list[str])
    name: Annotated[str, StringConstraints(max_length=100), _empty_or(_file_name)] = ""
    sha256: Annotated[str, _empty_or(_sha256)] = ""
    size_bytes: Annotated[int, Field(ge=0, le=2**41)] = 0


Row = TypeVar("Row", ModelRow, FoundRow)


def read_rows(file: Path, table: str, shape: type[Row]) -> tuple[tuple[Row, int], ...]:
    """All rows of `[[table]]` in the file's order, each with its line (0 where that is unknown). Raises CatalogueError,
    `missing` for a file that is not there."""
    text = _text(file)
    try:
        content: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"\(at line (\d+),", str(error))
        # At the end of the document tomllib gives no number.
        line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
        raise CatalogueError(file, "toml", line=line) from error
    for name in content:
        if name != table:
            raise CatalogueError(file, "section", line=_line(text, rf"\[*\s*{re.escape(name)}\b"), field=name)
    raw = content.get(table, [])
    if not isinstance(raw, list):
        raise CatalogueError(file, "section", line=_line(text, rf"\[*\s*{table}\b"), field=table)
    starts = [match.start() for match in re.finditer(rf"^[ \t]*\[\[[ \t]*{table}[ \t]*\]\]", text, re.MULTILINE)]
    rows: list[tuple[Row, int]] = []
    seen: set[str] = set()
    for number, value in enumerate(cast("list[Any]", raw)):
        begin = starts[number] if len(starts) == len(cast("list[Any]", raw)) else None
        end = starts[number + 1] if begin is not None and number + 1 < len(starts) else len(text)
        row = _row(file, text, begin, end, value, shape)
        if row.key in seen:
            raise CatalogueError(file, "twice", line=_line(text, r"key\b", begin, end), field="key", entry=row.key)
        seen.add(row.key)
        rows.append((row, text.count("\n", 0, begin) + 1 if begin is not None else 0))
    return tuple(rows)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            raw = opened.read(FILE_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise CatalogueError(file, "missing") from error
    except OSError as error:
        raise CatalogueError(file, "unreadable") from error
    if len(raw) > FILE_LIMIT_BYTES:
        raise CatalogueError(file, "long")
    try:
        # An editor of Windows may write a mark before the text, and its own line ends.
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise CatalogueError(file, "encoding", line=raw[: error.start].count(b"\n") + 1) from error


def _row(file: Path, text: str, begin: int | None, end: int, value: Any, shape: type[Row]) -> Row:
    try:
        return shape.model_validate(value)
    except ValidationError as failed:
        problem = failed.errors(include_url=False, include_input=False)[0]
    field = str(problem["loc"][0]) if problem["loc"] else ""
    entry = cast("dict[str, Any]", value).get("key") if isinstance(value, dict) else None
    line = _line(text, rf"{re.escape(field)}\b", begin, end) if begin is not None else 0
    known = {"extra_forbidden": "unknown_field", "missing": "missing_field"}
    reason = known.get(problem["type"]) or (field if field in shape.model_fields else "unknown_field")
    raise CatalogueError(file, reason, line=line, field=field, entry=entry if isinstance(entry, str) else "")


def _line(text: str, start_of_line: str, begin: int | None = 0, end: int | None = None) -> int:
    """The line whose beginning matches, within [begin, end); else the line of `begin`; 0 where that is unknown."""
    if begin is None:
        return 0
    match = re.compile(rf"^[ \t]*\"?{start_of_line}", re.MULTILINE).search(
        text, begin, len(text) if end is None else end
    )
    return text.count("\n", 0, match.start() if match else begin) + 1
