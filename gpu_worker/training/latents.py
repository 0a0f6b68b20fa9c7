"""Latents of a training's pictures on the disk, so that a pause does not have them made again."""

from __future__ import annotations

import contextlib
import logging
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gpu_worker.training.state import write_whole

__all__ = ["KeptLatents", "LatentKey"]

log = logging.getLogger(__name__)

BYTES_MAX = 2**30
"""More is made again each time."""

LatentKey = tuple[int, bool]
"""Of a picture, by its place among those of the training, as it is or mirrored."""
_NAME = "latents.pt"


class KeptLatents:
    """Beside the state, and of the same training; a damaged or missing file only costs making them again."""

    def __init__(self, folder: Path, spec_hash: str) -> None:
        self._path = folder / _NAME
        self._spec = spec_hash
        self.sizes: list[tuple[int, int]] = []
        """Of the first so many pictures, as they came, in pixels."""
        self.latents: dict[LatentKey, torch.Tensor] = {}
        found = self._read()
        if found is not None:
            self.sizes = [(int(wide), int(high)) for wide, high in found["sizes"]]
            self.latents = {(int(place), bool(mirrored)): tensor for place, mirrored, tensor in found["latents"]}

    def keep(self, sizes: Sequence[tuple[int, int]], latents: Mapping[LatentKey, torch.Tensor]) -> None:
        """Where there is room for them."""
        if sum(tensor.nbytes for tensor in latents.values()) > BYTES_MAX:
            return
        whole = {
            "spec": self._spec,
            "sizes": list(sizes),
            "latents": [(place, mirrored, tensor) for (place, mirrored), tensor in latents.items()],
        }
        try:
            write_whole(self._path, lambda file: torch.save(whole, file))
        except (OSError, RuntimeError) as error:
            log.warning("latents are not kept: %s", error)

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any] | None:
        try:
            found = torch.load(self._path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
            return None
        return found if isinstance(found, dict) and found.get("spec") == self._spec else None
