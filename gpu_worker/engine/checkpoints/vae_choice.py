"""Which VAE goes with a checkpoint (behaviours §11)."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_worker.engine.errors import EngineError
from gpu_worker.language.models import ModelFile
from gpu_worker.language.vaes import automatic_vae

__all__ = ["choose_vae"]


def choose_vae(wish: str, checkpoint: ModelFile, vaes: Sequence[ModelFile]) -> ModelFile | None:
    """`Automatic` takes the usable VAE whose file is named after the checkpoint, `None` and no such file the
    checkpoint's own (None is returned); else a VAE's name, or its file's. Raises EngineError `missing_model` or
    `bad_model`, whose detail names the `vae`."""
    if wish == "None":
        return None
    if wish.lower() in {"", "automatic", "auto"}:
        usable = {vae.path: vae for vae in vaes if vae.fact.problem is None}
        near = automatic_vae(checkpoint.path, list(usable))
        return usable[near] if near is not None else None
    found = next((vae for vae in vaes if wish in {vae.fact.name, vae.path.name, vae.path.stem}), None)
    if found is None:
        raise EngineError("missing_model", f"no vae {wish}", {"vae": wish})
    if found.fact.problem is not None:
        detail = {"vae": found.fact.name, "problem": found.fact.problem}
        raise EngineError("bad_model", f"{found.path}: {found.fact.problem}", detail)
    return found
