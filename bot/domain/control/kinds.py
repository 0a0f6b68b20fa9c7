"""A1111's control types: choosing one chooses a preprocessor, and a model by its name (behaviours §17.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.mapping import missing_annotators
from gpu_worker.language.preprocessors import PREPROCESSOR_TABLE, PreprocessorEntry, find_preprocessor
from gpu_worker.protocol.messages import ModelFact

__all__ = [
    "KINDS", "MAP", "UNITS_MAX", "Kind", "is_ready", "kind_named", "kind_of_model", "kind_of_preprocessor",
    "preprocessors_of", "usual_preprocessor",
]  # fmt: skip

UNITS_MAX = 4
MAP = "none"
"""The preprocessor of a picture that is a map already."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`usual` is the preprocessor that A1111 chooses first; `model` finds the type in a model's file name; `install`
    is the catalogue's name of a model of it for SD 1.x."""

    name: str
    usual: str
    model: re.Pattern[str]
    install: str | None = None


def _kind(name: str, usual: str, words: str, install: str | None = None) -> Kind:
    return Kind(name, usual, re.compile(words, re.IGNORECASE), install)


KINDS = (
    _kind("Canny", "canny", "canny", "control-canny"),
    _kind("Depth", "depth_midas", r"depth|midas|\bzoe", "control-depth"),
    _kind("OpenPose", "openpose_full", "pose", "control-openpose"),
    _kind("Scribble", "scribble_pidinet", "scribble|sketch", "control-scribble"),
    _kind("Lineart", "lineart_standard", "line_?art", "control-lineart"),
    _kind("SoftEdge", "softedge_pidinet", "soft_?edge|(?<![a-z])(?:hed|pidi)", "control-softedge"),
    _kind("Tile", "tile_resample", "(?<![a-z])tile|blur", "control-tile"),
    _kind("NormalMap", "normal_bae", "normal", "control-normalbae"),
    _kind("MLSD", "mlsd", "m-?lsd", "control-mlsd"),
    _kind("Segmentation", "seg_ofade20k", "(?<![a-z])seg", "control-seg"),
    _kind("Inpaint", "inpaint_only", "inpaint", "control-inpaint"),
    _kind("Shuffle", "shuffle", "shuffle", "control-shuffle"),
    _kind("InstructP2P", MAP, "ip2p|pix2pix", "control-ip2p"),
    _kind("Recolor", "recolor_luminance", "recolor"),
    _kind("T2I-Adapter", MAP, "t2i"),
)
"""The most used first."""
_TAGS = {"Seg": "Segmentation", "Scribble/Sketch": "Scribble", "Tile/Blur": "Tile", "Normal": "NormalMap"}
"""Other names of the groups in the table of preprocessors."""


def kind_named(name: str) -> Kind | None:
    return next((kind for kind in KINDS if kind.name.casefold() == name.strip().casefold()), None)


def kind_of_model(name: str) -> Kind | None:
    """By its file name; None for a union model, which serves many, and for one that does not say."""
    if re.search("union", name, re.IGNORECASE):
        return None
    return next((kind for kind in KINDS if kind.model.search(name)), None)


def kind_of_preprocessor(name: str) -> Kind | None:
    """None for those that belong to no type (`none`, `invert`, `threshold` …)."""
    entry = find_preprocessor(name)
    return kind_named(_TAGS.get(entry.tag, entry.tag)) if entry is not None else None


def preprocessors_of(kind: Kind | None) -> list[PreprocessorEntry]:
    """Those of a type, the usual one first, then `none`; all there are without a type."""
    if kind is None:
        return [*PREPROCESSOR_TABLE]
    own = [entry for entry in PREPROCESSOR_TABLE if kind_of_preprocessor(entry.name) is kind]
    found = sorted(own, key=lambda entry: entry.name != kind.usual)
    plain = find_preprocessor(MAP)
    assert plain is not None, "the table has it"
    return [plain, *found] if kind.usual == MAP else [*found, plain]


def is_ready(name: str, facts: Sequence[ModelFact]) -> bool:
    """Whether everything that it looks with is installed."""
    entry = find_preprocessor(name)
    return entry is not None and not missing_annotators(entry, facts)


def usual_preprocessor(kind: Kind, facts: Sequence[ModelFact]) -> str:
    """The usual one, else another of the type whose files are here; the usual one, too, where none is."""
    own = [entry.name for entry in preprocessors_of(kind)]
    return next((name for name in own if name != MAP and is_ready(name, facts)), own[0])
