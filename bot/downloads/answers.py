"""What the headers and the first bytes of an answer say of the file behind it (RFC 9110, 6266, 8187)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes

from yarl import URL

from bot.library.paths import MODEL_SUFFIXES, safe_stem

__all__ = ["Span", "header_name", "is_page", "looks_like_page", "name_of_url", "safe_name", "span_of", "validator_of"]

ARCHIVE_SUFFIX = ".zip"
NAME_CHARS_MAX = 500
_RANGE = re.compile(r"bytes\s+(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.IGNORECASE)
_EXTENDED = re.compile(r"filename\*\s*=\s*([\w-]*)'[^']*'([^;\s]+)", re.IGNORECASE)
_QUOTED = re.compile(r'filename\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_PLAIN = re.compile(r"filename\s*=\s*([^;\s\"]+)", re.IGNORECASE)
_PAGES = ("text/html", "application/xhtml+xml", "application/json", "application/xml", "text/xml")
_PAGE_STARTS = (
    b"<!doctype",
    b"<html",
    b"<head",
    b"<?xml",
    b"<script",
    b'{"error',
    b'{"message',
    b"version https://git-lfs",
)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to before `end` of `total`; None where it is not said."""

    start: int | None
    end: int | None
    total: int | None


def span_of(value: str) -> Span | None:
    """A Content-Range; None for one that makes no sense."""
    found = _RANGE.fullmatch(value.strip())
    if found is None:
        return None
    total = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        return Span(None, None, total)
    start, end = int(found[1]), int(found[2]) + 1
    return Span(start, end, total) if start < end <= (total if total is not None else end) else None


def validator_of(headers: Mapping[str, str]) -> str | None:
    """What tells, in If-Range, that a file is still the same: a strong ETag, else when it was changed."""
    etag = headers.get("ETag", "").strip()
    if re.fullmatch(r'"[\x21\x23-\x7e]{1,200}"', etag):
        return etag
    changed = headers.get("Last-Modified", "").strip()
    return changed if re.fullmatch(r"[\w ,:+-]{10,40}", changed) else None


def header_name(headers: Mapping[str, str]) -> str | None:
    """The file's name in Content-Disposition, as it stands there."""
    value = headers.get("Content-Disposition", "")[: 4 * NAME_CHARS_MAX]
    if found := _EXTENDED.search(value):
        charset = "utf-8" if found[1].lower() not in ("iso-8859-1", "latin-1") else "latin-1"
        return unquote_to_bytes(found[2]).decode(charset, "replace")
    if found := _QUOTED.search(value):
        return re.sub(r"\\(.)", r"\1", found[1])
    found = _PLAIN.search(value)
    return found[1] if found else None


def name_of_url(url: str) -> str | None:
    """The last part of its path, where that looks like a file's name."""
    try:
        name = unquote(URL(url).raw_path.rpartition("/")[2])
    except ValueError:
        return None
    return name if "." in name else None


def safe_name(name: str) -> str:
    """A file name for every file system: no folder, no device, nothing hidden; only the suffixes of models stay."""
    last = re.split(r"[/\\]", name[:NAME_CHARS_MAX])[-1].strip()
    stem, dot, suffix = last.rpartition(".")
    suffix = f".{suffix.strip().lower()}"
    if dot and suffix in MODEL_SUFFIXES | {ARCHIVE_SUFFIX}:
        return safe_stem(stem) + suffix
    return safe_stem(last)


def is_page(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() in _PAGES


def looks_like_page(start: bytes) -> bool:
    """Something for people or programs instead of the file, whatever its type says: a login page, an error."""
    return start[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGE_STARTS)
