"""Detectors of detail fix by name: the one that needs no file of its own kind, and how the prompts of a unit go to the
finds (ADetailer's `[PROMPT]`, `[SEP]`, `[SKIP]`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_worker.protocol.messages import ModelFact

__all__ = [
    "CATALOGUE_DETECTORS", "DRAWN", "FACES", "FACES_FILE", "FIX_WORDS", "detail_prompts", "detector_by_word",
    "usable_detectors", "wanted_classes",
]  # fmt: skip

FACES = "retinaface"
"""Finds faces with the detector that face restoration uses."""
FACES_FILE = "detection_Resnet50_Final"
CATALOGUE_DETECTORS = {
    "face_yolov8n": "detector-face", "face_yolov8s": "detector-face-s", "hand_yolov8n": "detector-hand",
    "person_yolov8n-seg": "detector-person",
}  # fmt: skip
"""What `models install` calls the published files."""
FIX_WORDS = ("face", "hand", "person")
"""What people ask for; a detector whose name holds the word is meant."""
_ALIKE = {"faces": "face", "hands": "hand", "people": "person", "persons": "person", "body": "person"}
DRAWN = "[PROMPT]"
PROMPTS_MAX = 32
_SEPARATOR = re.compile(r"\s*\[SEP\]\s*")
_SKIP = re.compile(r"\s*\[SKIP\]\s*")


def usable_detectors(facts: Sequence[ModelFact]) -> list[str]:
    """By name; the built-in one where its file is there."""
    usable = [fact for fact in facts if fact.problem is None]
    finds_faces = any(fact.kind == "face" and fact.name.casefold() == FACES_FILE.casefold() for fact in usable)
    return [*(fact.name for fact in usable if fact.kind == "detector"), *([FACES] if finds_faces else [])]


def detector_by_word(wanted: str, names: Sequence[str]) -> tuple[str | None, str | None]:
    """Of `names` the one of that name, or the first that finds what one of FIX_WORDS says; and that word, if it is
    one."""
    typed = wanted.strip().casefold()
    by_name = next((name for name in names if name.casefold() == typed), None)
    word = _ALIKE.get(typed, typed)
    if by_name is not None or word not in FIX_WORDS:
        return by_name, None
    return next((name for name in names if word in name.casefold()), None), word


def detail_prompts(text: str, drawn: str) -> tuple[str | None, ...]:
    """One for each find, the last for all that follow; None leaves a find as it is. `drawn` is the picture's own, which
    fits in whole once, however often it is named."""
    parts = _SEPARATOR.split(text)[:PROMPTS_MAX]
    return tuple(
        None if _SKIP.fullmatch(part) else part.replace(DRAWN, drawn)[: len(part) + len(drawn)] or drawn
        for part in parts
    )


def wanted_classes(text: str, names: tuple[str, ...]) -> frozenset[int] | None:
    """Numbers of the classes that a unit names, empty for all; None for a name that the detector does not know."""
    known = {name.casefold(): at for at, name in reversed(list(enumerate(names)))}
    found: set[int] = set()
    for part in filter(None, (part.strip().casefold() for part in text.split(","))):
        if part in known:
            found.add(known[part])
        elif part.isdecimal() and len(part) < 6:
            found.add(int(part))
        else:
            return None
    return frozenset(found)
