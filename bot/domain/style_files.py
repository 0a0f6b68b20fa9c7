"""Styles in files: A1111's `styles.csv` (behaviours §13), and JSON, which keeps parameters and versions, too.

Of JSON also plain lists of `{"name", "prompt", "negative_prompt"}` are read, as other programs write them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from bot.domain.mentions import spoken
from bot.domain.parameters import Parameters
from bot.domain.style_names import StyleVersion
from bot.domain.styles import Style, StyleParameters, make_style, style_key
from bot.errors import UserFacingError

__all__ = ["FILE_BYTES_MAX", "STYLES_MAX", "ReadStyles", "Refused", "read_styles", "write_csv", "write_json"]

FILE_BYTES_MAX = 2 * 2**20
STYLES_MAX = 500
"""Of one file; what stands behind them is refused."""
_COLUMNS = ("name", "prompt", "negative_prompt")
_FORMAT = "pincel_styles"


@dataclass(frozen=True, slots=True)
class Refused:
    """`row` counts from 1; `key` and `values` are those of a UserFacingError."""

    row: int
    name: str
    key: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ReadStyles:
    styles: tuple[Style, ...]
    refused: tuple[Refused, ...] = ()
    skipped: int = 0
    """Rows that say nothing: comments and dividers."""


Row = tuple[str, str, str, Mapping[str, Any]]
"""Name, prompt, negative prompt, parameters."""
_NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})


def read_styles(data: bytes) -> ReadStyles:
    """Whichever of the formats it is. Of two with the same name the last one counts, as in A1111.

    Raises UserFacingError: `style_file_long`, `style_file_unreadable`, `style_file_empty`.
    """
    if len(data) > FILE_BYTES_MAX:
        raise UserFacingError("style_file_long", limit_mb=FILE_BYTES_MAX // 2**20)
    text = _text(data)
    rows = _json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
    found: dict[str, Style] = {}
    refused: list[Refused] = []
    skipped = 0
    for number, (name, prompt, negative, parameters) in enumerate(rows, 1):
        if name.startswith("#") or _is_divider(name):
            skipped += 1
            continue
        try:
            if len(found) >= STYLES_MAX:
                raise UserFacingError("style_file_many", limit=STYLES_MAX)
            style = _style(name, prompt, negative, parameters)
            key = style_key(style.name)
            if key in found:
                refused.append(Refused(number, spoken(name), "style_twice", MappingProxyType({})))
                del found[key]  # its place is that of the last one
            found[key] = style
        except UserFacingError as error:
            refused.append(Refused(number, spoken(name), error.key, error.values))
    if not found and not refused:
        raise UserFacingError("style_file_empty")
    return ReadStyles(tuple(found.values()), tuple(refused), skipped)


def write_csv(styles: Sequence[Style]) -> bytes:
    """As A1111 writes it: with a byte order mark and CRLF. Parameters have no place there."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    writer.writerows((style.name, style.prompt, style.negative_prompt) for style in styles)
    return out.getvalue().encode("utf-8-sig")


def write_json(styles: Sequence[Style], versions: Mapping[str, Sequence[StyleVersion]] | None = None) -> bytes:
    """`versions` by name, oldest first; they are kept for their owner to read, and are not read in again."""
    rows = [
        {
            **_plain(style),
            **(
                {"versions": [{"version": v.version, "made_at": v.made_at, **_plain(v.style)} for v in older]}
                if (older := (versions or {}).get(style.name))
                else {}
            ),
        }
        for style in styles
    ]
    return json.dumps({_FORMAT: 1, "styles": rows}, ensure_ascii=False, indent=2).encode()


def _plain(style: Style) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": style.name, "prompt": style.prompt, "negative_prompt": style.negative_prompt}
    parameters = style.parameters.model_dump(mode="json", exclude_none=True)
    return plain | ({"parameters": parameters} if parameters else {})


def _style(name: str, prompt: str, negative: str, parameters: Mapping[str, Any]) -> Style:
    """Raises UserFacingError as `make_style`."""
    unknown = parameters.keys() - StyleParameters.model_fields.keys()
    if unknown:
        raise UserFacingError("style_parameters", field=spoken(min(unknown)))
    return make_style(name, prompt, negative, Parameters(**parameters) if parameters else None)


def _text(data: bytes) -> str:
    """Raises UserFacingError (`style_file_unreadable`)."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserFacingError("style_file_unreadable") from error
    if "\0" in text:
        raise UserFacingError("style_file_unreadable")
    return text


def _csv_rows(text: str) -> Iterator[Row]:
    """Raises UserFacingError (`style_file_unreadable`), also while it is read."""
    if not text.strip():
        return
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
        columns = {(name or "").strip() for name in reader.fieldnames or ()}
        if "name" not in columns or not columns & {"prompt", "text"}:
            raise UserFacingError("style_file_columns")
        column = "prompt" if "prompt" in columns else "text"
        for row in reader:
            found = {(key or "").strip(): value for key, value in row.items() if isinstance(value, str)}
            if any(found.values()):
                yield found.get("name", ""), found.get(column, ""), found.get("negative_prompt", ""), _NO_PARAMETERS
    except csv.Error as error:
        raise UserFacingError("style_file_unreadable") from error


def _json_rows(text: str) -> Iterator[Row]:
    """Raises UserFacingError (`style_file_unreadable`)."""
    try:
        whole: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserFacingError("style_file_unreadable") from error
    rows: Any = cast("dict[str, Any]", whole).get("styles") if isinstance(whole, dict) else whole
    if not isinstance(rows, list):
        raise UserFacingError("style_file_columns")
    for row in cast("list[Any]", rows):
        given = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
        name, prompt, negative = (str(given[key]) if isinstance(given.get(key), str) else "" for key in _COLUMNS)
        parameters = given.get("parameters")
        kept = cast("Mapping[str, Any]", parameters) if isinstance(parameters, dict) else _NO_PARAMETERS
        yield name, prompt, negative, kept


def _is_divider(name: str) -> bool:
    """` styles.csv ` between dashes: A1111 puts one before each of several files."""
    return len(name) > 10 and name.startswith("---") and name.endswith("---")
