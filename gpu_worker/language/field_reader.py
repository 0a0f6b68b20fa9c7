"""Takes values out of an infotext's fields, holds them to the specs' ranges, and notes what cannot be taken over."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel

from gpu_worker.language.picture_fields import OwnKey
from gpu_worker.language.plots import is_plot_key

__all__ = ["FieldReader", "Note", "NoteReason", "held", "number_of"]

NoteReason = Literal["not_supported", "limited", "unreadable", "unknown_sampler", "picture_needed", "model_by_hash"]

_TITLE = re.compile(r"(.*\S) \[[0-9a-fA-F]{8,64}\]", re.DOTALL)
_UNUSED = frozenset({
    "Model hash", "VAE hash", "Lora hashes", "TI hashes", "Hypernet hashes", "Hypernet strength", "Version", "User",
    "Template", "Negative Template", "First pass size-1", "First pass size-2", OwnKey.MASK_HASH, OwnKey.MASK_FIND,
})  # fmt: skip
"""Keys that change no picture, or have been read into others already."""
_NO_CHANGE: Mapping[str, tuple[str, ...]] = {
    "Hires sampler": ("Use same sampler",),
    "Hires schedule type": ("Use same scheduler",),
    "Hires checkpoint": ("Use same checkpoint",),
    "Mask mode": ("Inpaint masked",),
    "Inpaint area": ("Whole picture",),
    "VAE Encoder": ("Full",),
    "VAE Decoder": ("Full",),
    "FP8 weight": ("Disable",),
    "Refiner switch by sampling steps": ("False",),
    "Noise Schedule": ("Default",),
    "Pad conds": ("False",),
    "Pad conds v0": ("False",),
    "SGM noise multiplier": ("False",),
    "Token merging ratio": ("0", "0.0"),
}


@dataclass(frozen=True)
class Note:
    """Why a key of the text was not taken over as it stands."""

    reason: NoteReason
    key: str
    value: str


class FieldReader:
    """Takes values out of the fields, and knows which were never asked for."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.notes: list[Note] = []
        self._read: set[str] = set(_UNUSED) | {"Prompt", "Negative prompt"}

    def note(self, reason: NoteReason, key: str) -> None:
        self.notes.append(Note(reason, key, str(self.raw(key) or "")))

    def raw(self, key: str) -> str | None:
        """A value that looks like a size was split; here it is whole again."""
        self._read |= {key, f"{key}-1", f"{key}-2"}
        plain = self.fields.get(key)
        parts = self.fields.get(f"{key}-1"), self.fields.get(f"{key}-2")
        # The default for a missing key may stand beside the halves.
        if None in parts or (plain is not None and plain != "" and plain not in _NO_CHANGE.get(key, ())):
            return None if plain is None else str(plain)
        return f"{parts[0]}x{parts[1]}"

    def text(self, key: str) -> str | None:
        value = self.raw(key)
        return None if value is None or value in _NO_CHANGE.get(key, ()) else value

    def name(self, key: str) -> str | None:
        """A model's name without the hash behind it."""
        value = self.text(key)
        match = _TITLE.fullmatch(value) if value and key != "Model" else None
        return match[1] if match else value

    def pair(self, key: str) -> tuple[int, int] | None:
        value = self.raw(key)
        match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", value or "")
        if match is None:
            if value is not None:
                self.note("unreadable", key)
            return None
        return int(match[1]), int(match[2])

    def switches(self, keys: tuple[tuple[str, str], ...]) -> dict[str, bool]:
        return {name: True for key, name in keys if self.text(key) == "True"}

    def choice(self, key: str, name: str, model: type[BaseModel]) -> dict[str, str]:
        value = self.text(key)
        if value is None:
            return {}
        if value in get_args(model.model_fields[name].annotation):
            return {name: value}
        self.note("not_supported", key)
        return {}

    def numbers(self, model: type[BaseModel], keys: tuple[tuple[str, str], ...]) -> dict[str, int | float]:
        found: dict[str, int | float] = {}
        for key, name in keys:
            value = self.text(key)
            if value is None:
                continue
            number = number_of(value, whole="int" in str(model.model_fields[name].annotation))
            if number is None:
                self.note("unreadable", key)
                continue
            kept = held(model, name, number)
            if kept != number:
                self.note("limited", key)
            if kept is not None:
                found[name] = kept
        return found

    def leftovers(self) -> None:
        for key in self.fields:
            if key not in self._read and not is_plot_key(key) and self.text(key) is not None:
                self.note("not_supported", key)


def number_of(text: str, whole: bool) -> int | float | None:
    try:
        number = float(text) if len(text) < 40 else math.nan
        if whole and number == int(number):
            return int(text) if text.lstrip("+-").isdecimal() else int(number)
    except (ValueError, OverflowError):
        return None
    return None if whole or not math.isfinite(number) else number


def held(model: type[BaseModel], name: str, number: int | float) -> int | float | None:
    """Within the field's range; None for what is not above an open end."""
    for rule in model.model_fields[name].metadata:
        if isinstance(rule, Ge) and number < rule.ge:  # pyright: ignore[reportOperatorIssue]
            number = rule.ge  # pyright: ignore[reportAssignmentType]
        elif isinstance(rule, Le) and number > rule.le:  # pyright: ignore[reportOperatorIssue]
            number = rule.le  # pyright: ignore[reportAssignmentType]
        elif isinstance(rule, Gt) and number <= rule.gt:  # pyright: ignore[reportOperatorIssue]
            return None
    return number
