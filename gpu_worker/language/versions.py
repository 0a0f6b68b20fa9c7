"""What an infotext's `Version` says about defaults that A1111 changed since (behaviours §22.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["is_before_schedules", "switches_of_version"]

_VERSION = re.compile(
    r"\s*v?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview|dev)[-_.]?\d*)?(?:-(\d+))?\s*", re.IGNORECASE
)
_DESCRIBED = re.compile(r"([^-]+-[^-]+)-")
_Version: TypeAlias = tuple[tuple[int, ...], bool, int]
"""Release, whether it is one and not a candidate for it, commits after it."""

_V1_6_0: _Version = ((1, 6), True, 0)
_V1_7_0_225: _Version = ((1, 7), True, 225)
_V1_8_0: _Version = ((1, 8), True, 0)
_V1_9_0: _Version = ((1, 9), True, 0)


def switches_of_version(fields: Mapping[str, Any]) -> dict[str, bool]:
    """Keys that A1111 turns on for a text from an older version. Without a version that can be read: none."""
    version = _read(str(fields.get("Version", "")))
    found: dict[str, bool] = {}
    if version is None:
        return found
    if version < _V1_6_0 and "[" in str(fields.get("Prompt", "")):
        found["Old prompt editing timelines"] = True
    if version < _V1_6_0 and fields.get("Sampler") in ("DDIM", "PLMS"):
        found["Pad conds v0"] = True
    if version < _V1_7_0_225:
        found["Downcast alphas_cumprod"] = True
    if version < _V1_8_0 and fields.get("Refiner"):
        found["Refiner switch by sampling steps"] = True
    return found


def _read(text: str) -> _Version | None:
    """`v1.7.0-379-gabc123` is 379 commits after 1.7.0."""
    described = _DESCRIBED.match(text)
    match = _VERSION.fullmatch(described[1] if described else text)
    if match is None or len(match[1]) > 60 or len(match[3] or "") > 9:
        return None
    release = [int(part) for part in match[1].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    return tuple(release), match[2] is None, int(match[3] or 0)


def is_before_schedules(fields: Mapping[str, Any]) -> bool:
    """Whether the text was written by an A1111 before 1.9, in which a bare sampler name meant the uniform schedule.

    Before versions were written at all (1.3) the hash of the model was: a text with neither was not written there.
    """
    text = str(fields.get("Version", ""))
    version = _read(text)
    return version < _V1_9_0 if version else not text and "Model hash" in fields
