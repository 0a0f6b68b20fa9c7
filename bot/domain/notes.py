"""What a user should know though the request goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from bot.domain.mentions import spoken
from bot.domain.parameters import Parameters
from bot.domain.pasted import Pasted
from bot.domain.wishes import WISHES
from gpu_worker.protocol.specs import Img2Img, JobSpec

__all__ = ["OF_PICTURES", "Note", "idle_keys", "named", "notes_of_pasted"]

OF_PICTURES = (
    "exact_steps", "color_correction", "mask_weight", "image_cfg_scale", "noise_multiplier", "extra_noise",
)  # fmt: skip
_OF_MASKS = ("mask_blur", "mask_invert", "mask_content", "only_masked", "padding_px")
_NAMED = 10
"""Names that a note lists at most."""


@dataclass(frozen=True)
class Note:
    """Something the user should know though the request goes on; the sentence is `note.<key>`."""

    key: str
    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


def named(names: Sequence[str]) -> str:
    """As a note lists them: not all of very many. Each is inert and short already."""
    return ", ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])


def notes_of_pasted(pasted: Pasted, *, picture: bool) -> list[Note]:
    notes = [Note("pasted")]
    if pasted.missing:
        notes.append(Note("pasted_missing", {"names": named(pasted.missing)}))
    if unused := [*map(spoken, pasted.unused), *pasted.flags.ignored]:
        notes.append(Note("parameters_ignored", {"names": named(unused)}))
    if pasted.needs_picture and not picture:
        notes.append(Note("pasted_picture"))
    return notes


def idle_keys(asked: Parameters, spec: JobSpec) -> list[str]:
    """Keys of what was asked for and belongs to something that the request lacks."""
    picture = isinstance(spec, Img2Img)
    lacking: tuple[str, ...] = () if picture else ("resize_mode", *OF_PICTURES)
    lacking += () if picture and spec.mask else _OF_MASKS
    lacking += () if spec.face_restore else ("face_visibility", "face_weight")
    lacking += () if spec.refiner else ("refiner_at",)
    return [wish.key for wish in WISHES if wish.field in lacking and getattr(asked, wish.field) is not None]
