"""Folders of pictures and captions, as sd-scripts reads them (behaviours §24.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gpu_worker.language.training.folders import read_folder_name
from gpu_worker.shell.errors import BadInputError
from gpu_worker.shell.training.looks import SUFFIXES

__all__ = ["Found", "FoundFolder", "read_pictures", "read_train_folder"]

_CAPTION_BYTES = 64 * 1024
_CAPTION_CHARS = 4000
_USUAL = (".txt", ".caption")


@dataclass(frozen=True)
class FoundFolder:
    """A subset: where its pictures lie, and what is said of each; None where nothing is."""

    path: Path
    repeats: int
    class_tokens: str
    is_reg: bool
    captions: dict[Path, str | None]


@dataclass
class Found:
    folders: list[FoundFolder] = field(default_factory=list[FoundFolder])
    notes: list[str] = field(default_factory=list[str])
    """Sentences about what was left out."""


def read_train_folder(key: str, folder: Path, extension: str, *, is_reg: bool, wildcards: bool) -> Found:
    """`train_data_dir` or `reg_data_dir`: its folders like `10_mychar`. Raises BadInputError."""
    found = Found()
    loose = [path for path in _entries(key, folder) if path.is_file() and path.suffix.lower() in SUFFIXES]
    for path in _entries(key, folder):
        if not path.is_dir() or path.name.startswith("."):
            continue
        name = read_folder_name(path.name)
        if not name.used:
            found.notes.append(f"The folder {path} is not read: its name does not begin with a number, like 10_mychar.")
            continue
        captions = read_pictures(key, path, extension, wildcards=wildcards, notes=found.notes)
        found.folders.append(FoundFolder(path, name.repeats, name.class_tokens, is_reg, captions))
    if not found.folders:
        there = f"{len(loose)} pictures, but " if loose else ""
        raise BadInputError(
            f"{key} {folder} holds {there}no folder of pictures. Put them into one like 10_mychar: each picture is "
            "seen 10 times an epoch, and mychar stands for those without a caption."
        )
    if loose:
        found.notes.append(
            f"{len(loose)} pictures directly in {folder} are not read; put them into a folder like 10_mychar."
        )
    return found


def read_pictures(
    key: str, folder: Path, extension: str, *, wildcards: bool, notes: list[str]
) -> dict[Path, str | None]:
    """The pictures of one folder with their captions, by name; those below it are not read. Raises BadInputError."""
    entries = _entries(key, folder)
    pictures = [path for path in entries if path.is_file() and path.suffix.lower() in SUFFIXES]
    if not pictures:
        texts = sum(path.suffix.lower() in {*_USUAL, extension} for path in entries)
        what = f"{texts} captions and no pictures" if texts else "no pictures"
        kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise BadInputError(f"{folder} holds {what}. Put pictures ({kinds}) into it, each beside its caption.")
    captions = {path: _caption(path.with_suffix(extension), wildcards=wildcards) for path in pictures}
    bare = [path for path, caption in captions.items() if caption is None]
    unread = {other: sum(path.with_suffix(other).is_file() for path in bare) for other in _USUAL}
    notes += [
        f"{count} captions in {folder} are not read: they end in {other}, and caption_extension is {extension}. "
        f'Set caption_extension = "{other}".'
        for other, count in unread.items()
        if count and other != extension
    ]
    return captions


def _entries(key: str, folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise BadInputError(
            f"{key}: the folder {folder} cannot be read ({error.strerror}). Name one that is there."
        ) from error


def _caption(path: Path, *, wildcards: bool) -> str | None:
    """Its first line; with wildcards all of them, of which a step takes one."""
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _CAPTION_BYTES:
            raise BadInputError(f"The caption {path} is larger than {_CAPTION_BYTES >> 10} KB. Shorten it.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInputError(f"The caption {path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"The caption {path} is no UTF-8 text. Save it anew as UTF-8.") from error
    lines = [line.strip() for line in text.strip().splitlines()]
    caption = "\n".join(filter(None, lines)) if wildcards else (lines or [""])[0]
    if len(caption) > _CAPTION_CHARS:
        raise BadInputError(f"The caption {path} has more than {_CAPTION_CHARS} characters. Shorten it.")
    return caption
