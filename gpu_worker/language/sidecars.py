"""What lies beside a model file for it: `name.civitai.info`, A1111's `name.json`, descriptions, a preview picture.

Sidecars come from anywhere. They are read up to a limit, their texts are cut and cleaned as those of headers are, and a
preview is only named here, never opened.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from gpu_worker.language.details import clean_words, one_line

__all__ = ["PREVIEW_LIMIT_BYTES", "Sidecars", "read_sidecars", "sidecar_names"]

TEXT_LIMIT_BYTES = 4 << 20
PREVIEW_LIMIT_BYTES = 8 << 20
_PREVIEWS = (".preview.png", ".preview.jpg", ".preview.jpeg", ".preview.webp", ".png", ".jpg", ".jpeg", ".webp",
             ".preview.gif", ".gif")  # fmt: skip
_INFOS = (".civitai.info", ".json")
_TEXTS = (".description.txt", ".txt")
_ID = re.compile(r"\d{1,12}")


@dataclass(frozen=True)
class Sidecars:
    title: str | None = None
    base: str | None = None
    """As Civitai or the user's card calls it, e.g. `SD 1.5`, `Pony`."""
    trigger_words: tuple[str, ...] = ()
    preview: str | None = None
    """A file name in the same folder."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """`description`, `negative_text`, `preferred_weight`, `version`, `type`, `page`."""


def sidecar_names(file_name: str, stem: str, neighbours: Sequence[str]) -> tuple[str, ...]:
    """Those of the neighbours (names that begin with the stem) that are read or shown, in the order of their weight.
    Some tools put the whole file name before the ending."""
    endings = {name: name[len(start) :].lower() for name in neighbours for start in (stem, file_name)
               if name.startswith(start)}  # fmt: skip
    order = (*_INFOS, *_TEXTS, *_PREVIEWS)
    return tuple(sorted((n for n, e in endings.items() if e in order), key=lambda n: (order.index(endings[n]), n)))


def read_sidecars(folder: Path, names: Sequence[str]) -> Sidecars:
    """`names` are those of `sidecar_names`. Never raises."""
    title = base = preview = None
    words: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    for name in names:
        path, lower = folder / name, name.lower()
        if lower.endswith(_INFOS):
            found = _civitai(_object(path)) if lower.endswith(".civitai.info") else _card(_object(path))
            title, base, words = title or found.title, base or found.base, words or found.trigger_words
            metadata = {**found.metadata, **metadata}
        elif lower.endswith(_TEXTS):
            text = one_line(_text(path))
            if text:
                metadata.setdefault("description", text)
        elif preview is None and _is_picture(path):
            preview = name
    return Sidecars(title, base, words, preview, metadata)


def _civitai(info: dict[str, Any]) -> Sidecars:
    """Civitai's answer for a model version, as its download tools save it."""
    model = _dict(info.get("model"))
    title = one_line(f"{_str(model.get('name'))} {_str(info.get('name'))}")
    metadata = {"version": _line(info.get("name")), "type": _line(model.get("type")),
                "description": _line(re.sub(r"<[^>]{0,400}>", " ", _str(info.get("description"))))}  # fmt: skip
    number = str(info.get("modelId"))
    if _ID.fullmatch(number):
        metadata["page"] = f"https://civitai.com/models/{number}"
    words = clean_words(_list(info.get("trainedWords")))
    return Sidecars(title or None, _line(info.get("baseModel")) or None, words, None, _filled(metadata))


def _card(info: dict[str, Any]) -> Sidecars:
    """What A1111's card editor saves (behaviours §5.4)."""
    metadata = {"description": _line(info.get("description")) or _line(info.get("notes")),
                "negative_text": _line(info.get("negative text"))}  # fmt: skip
    weight = info.get("preferred weight")
    if isinstance(weight, (int, float)) and 0 < abs(weight) <= 10:
        metadata["preferred_weight"] = f"{weight:g}"
    base = _line(info.get("sd version"))
    words = clean_words(_str(info.get("activation text")).split(","))
    return Sidecars(None, base if base and base != "Unknown" else None, words, None, _filled(metadata))


def _object(path: Path) -> dict[str, Any]:
    try:
        value: Any = json.loads(_text(path))
    except (ValueError, RecursionError):
        return {}
    return _dict(value)


def _text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return ""
        with path.open("rb") as file:
            data = file.read(TEXT_LIMIT_BYTES + 1)
    except OSError:
        return ""
    return data.decode("utf-8-sig", "replace") if len(data) <= TEXT_LIMIT_BYTES else ""


def _is_picture(path: Path) -> bool:
    """A file of a size that can be shown, in this very folder: a link that leads out of it shows nothing."""
    try:
        found = path.stat()
        return (
            stat.S_ISREG(found.st_mode)
            and 0 < found.st_size <= PREVIEW_LIMIT_BYTES
            and path.resolve().parent == path.parent.resolve()
        )
    except OSError:
        return False


def _filled(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if value}


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _line(value: Any) -> str:
    return one_line(_str(value))
