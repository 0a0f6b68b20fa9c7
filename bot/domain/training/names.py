"""Names of data sets, class tokens and pictures: each is a file's or a folder's name in an export, on any system."""

from __future__ import annotations

import re
import unicodedata

from bot.domain.mentions import spoken
from bot.domain.training.datasets import REPEATS_MAX
from bot.errors import UserFacingError

__all__ = [
    "NAME_CHARS", "TOKENS_CHARS", "check_class_tokens", "check_dataset_name", "check_repeats", "is_plain",
    "picture_name",
]  # fmt: skip

NAME_CHARS = 60
TOKENS_CHARS = 80
PICTURE_CHARS = 60
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Windows takes no file of such a name."""


def check_dataset_name(text: str) -> str:
    """Without needless spaces. Raises UserFacingError: `dataset_name_empty`, `dataset_name_long`,
    `dataset_name_signs`."""
    name = _squeezed(text)
    if not name:
        raise UserFacingError("dataset_name_empty")
    if len(name) > NAME_CHARS:
        raise UserFacingError("dataset_name_long", limit=NAME_CHARS)
    if not is_plain(name):
        raise UserFacingError("dataset_name_signs")
    return name


def check_class_tokens(text: str) -> str:
    """May be empty. Raises UserFacingError: `dataset_tokens_long`, `dataset_tokens_signs`."""
    tokens = _squeezed(text)
    if len(tokens) > TOKENS_CHARS:
        raise UserFacingError("dataset_tokens_long", limit=TOKENS_CHARS)
    if tokens and not is_plain(tokens):
        raise UserFacingError("dataset_tokens_signs")
    return tokens


def check_repeats(text: str) -> int:
    """Raises UserFacingError (`dataset_repeats`)."""
    typed = text.strip()
    if not re.fullmatch(r"[0-9]{1,6}", typed) or not 1 <= int(typed) <= REPEATS_MAX:
        raise UserFacingError("dataset_repeats", wish=spoken(typed) or "–", most=REPEATS_MAX)
    return int(typed)


def picture_name(filename: str) -> str:
    """A file's name without its folders and suffix, as any system can have it."""
    last = re.split(r"[/\\]", filename)[-1]
    stem = last.rpartition(".")[0] or last
    visible = "".join(char for char in stem if unicodedata.category(char)[0] != "C")
    name = _squeezed(_FORBIDDEN.sub("_", visible)).strip(". ")[:PICTURE_CHARS].rstrip(". ")
    if not name:
        return "picture"
    return f"_{name}" if _DEVICES.fullmatch(name) else name


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def is_plain(name: str) -> bool:
    """Whether any system has files of that name, and everybody reads it as it is written."""
    return (
        not _FORBIDDEN.search(name)
        and not name.startswith(".")
        and not name.endswith(".")
        and not _DEVICES.fullmatch(name)
        and all(unicodedata.category(char)[0] != "C" for char in name)
    )
