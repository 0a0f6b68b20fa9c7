"""Which VAE goes with a checkpoint (behaviours §11)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gpu_worker.engine.errors import EngineError
from gpu_worker.language.models import ModelFile

__all__ = ["choose_vae", "vae_near_checkpoint"]


def choose_vae(wish: str, checkpoint: ModelFile, vaes: Sequence[ModelFile]) -> ModelFile | None:
    """`Automatic` takes the usable VAE whose file is named after the checkpoint, `None` and no such file the
    checkpoint's own (None is returned); else a VAE's name, or its file's. Raises EngineError `missing_model` or
    `bad_model`, whose detail names the `vae`."""
    if wish == "None":
        return None
    if wish.lower() in {"", "automatic", "auto"}:
        usable = sorted((vae for vae in vaes if vae.fact.problem is None), key=lambda vae: _natural(vae.path.name))
        stem = f"{checkpoint.path.name}." if checkpoint.path.is_dir() else checkpoint.path.name
        near = vae_near_checkpoint(stem, [str(vae.path) for vae in usable])
        return next((vae for vae in usable if str(vae.path) == near), None)
    found = next((vae for vae in vaes if wish in {vae.fact.name, vae.path.name, vae.path.stem}), None)
    if found is None:
        raise EngineError("missing_model", f"no vae {wish}", {"vae": wish})
    if found.fact.problem is not None:
        detail = {"vae": found.fact.name, "problem": found.fact.problem}
        raise EngineError("bad_model", f"{found.path}: {found.fact.problem}", detail)
    return found


def vae_near_checkpoint(checkpoint: str, vae_files: Sequence[str]) -> str | None:
    """The first whose base name begins with the checkpoint's stem: `modelXL.safetensors` does for `model.ckpt`."""
    stem = Path(checkpoint).name.rsplit(".", 1)[0]
    return next((file for file in vae_files if Path(file).name.startswith(stem)), None)


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Numbers by their size."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name.lower()) if part]
