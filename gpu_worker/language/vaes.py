"""Which VAE goes with a checkpoint where none is named (behaviours §11)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["automatic_vae", "vae_near_checkpoint"]


def automatic_vae(checkpoint: Path, vaes: Sequence[Path]) -> Path | None:
    """The one of `vaes`, which are usable files, that is named after the checkpoint; None: the checkpoint's own."""
    ordered = sorted(vaes, key=lambda path: _natural(path.name))
    stem = f"{checkpoint.name}." if checkpoint.is_dir() else checkpoint.name
    near = vae_near_checkpoint(stem, [str(path) for path in ordered])
    return next((path for path in ordered if str(path) == near), None)


def vae_near_checkpoint(checkpoint: str, vae_files: Sequence[str]) -> str | None:
    """The first whose base name begins with the checkpoint's stem: `modelXL.safetensors` does for `model.ckpt`."""
    stem = Path(checkpoint).name.rsplit(".", 1)[0]
    return next((file for file in vae_files if Path(file).name.startswith(stem)), None)


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Numbers by their size."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name.lower()) if part]
