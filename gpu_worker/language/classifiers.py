"""Which classifier of pictures is installed, told without loading anything: worker, bot and looker find the same."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NUDENET", "Installed", "installed_classifier"]

NUDENET = "nudenet"


@dataclass(frozen=True, slots=True)
class Installed:
    name: str
    weights: Path
    own: bool
    """An operator's file, with its JSON beside it."""


def installed_classifier(models_dir: Path) -> Installed | None:
    """An operator's own file in `models/safety` (the first by name), else NudeNet where its package is installed, of
    which nothing is imported."""
    own = sorted((models_dir / "safety").glob("*.onnx"))
    if own:
        return Installed(own[0].stem, own[0], own=True)
    found = importlib.util.find_spec(NUDENET)
    for folder in (found.submodule_search_locations or ()) if found else ():
        weights = Path(folder) / "320n.onnx"
        if weights.is_file():
            return Installed(NUDENET, weights, own=False)
    return None
