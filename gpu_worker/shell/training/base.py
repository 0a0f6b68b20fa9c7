"""The checkpoint below a LoRA: a file, a diffusers folder, or a name in the library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gpu_worker.language.layouts import folder_weights
from gpu_worker.language.listing import Listed, stamp_of
from gpu_worker.language.models import ModelFile, name_models, read_listed
from gpu_worker.language.trees import Root
from gpu_worker.protocol.messages import ModelKind
from gpu_worker.shell.errors import BadInputError
from gpu_worker.shell.sentences import PROBLEMS

__all__ = ["find_base", "find_vae"]

_KEY = "pretrained_model_name_or_path"


def find_base(said: str | None, library: Sequence[ModelFile], *, with_vae: bool) -> ModelFile:
    """`with_vae`: a VAE was named beside it. Raises BadInputError."""
    known = [one.fact.name for one in library if one.fact.kind == "checkpoint" and not one.fact.problem]
    names = f"There are: {', '.join(known) or 'none'}."
    if not said:
        raise BadInputError(f"{_KEY} is missing. Say which checkpoint to train for: a file, or a name. {names}")
    found = _at("checkpoint", said) or _named("checkpoint", said, library)
    if found is None:
        raise BadInputError(f"There is no checkpoint {said}, neither as a file nor in the library. {names}")
    if found.reading.lacks_vae and not with_vae:
        raise BadInputError(f"The checkpoint {said} has no VAE of its own. Name one with vae: a file, or a name.")
    if found.fact.problem not in (None, "no_vae"):
        why = PROBLEMS.get(found.fact.problem, f"cannot be used ({found.fact.problem}); choose another one")
        raise BadInputError(f"The checkpoint {said} {why}.")
    if found.fact.family not in ("sd1", "sd2", "sdxl") or found.fact.variant is not None:
        raise BadInputError(
            f"LoRAs are not trained on {said} here. Choose an ordinary checkpoint of Stable Diffusion 1.x, 2.x or XL: "
            "no refiner, and none for inpainting or instructions."
        )
    return found


def find_vae(said: str | None, library: Sequence[ModelFile]) -> ModelFile | None:
    """None for the checkpoint's own. Raises BadInputError."""
    if not said:
        return None
    found = _at("vae", said) or _named("vae", said, library)
    if found is None:
        known = ", ".join(one.fact.name for one in _usable_vaes(library)) or "none"
        raise BadInputError(f"There is no VAE {said}, neither as a file nor in the library. There are: {known}.")
    if found.fact.problem:
        why = PROBLEMS.get(found.fact.problem, f"cannot be used ({found.fact.problem}); choose another one")
        raise BadInputError(f"The VAE {said} {why}.")
    return found


def _usable_vaes(library: Sequence[ModelFile]) -> list[ModelFile]:
    return [one for one in library if one.fact.kind == "vae" and not one.fact.problem]


def _named(kind: ModelKind, said: str, library: Sequence[ModelFile]) -> ModelFile | None:
    plain = re.sub(r"(\.vae)?\.(safetensors|ckpt|pt|pth)$", "", said, flags=re.IGNORECASE)
    return next((one for one in library if one.fact.kind == kind and one.fact.name in (said, plain)), None)


def _at(kind: ModelKind, said: str) -> ModelFile | None:
    """A file that lies anywhere, judged as the library's are."""
    try:
        path = Path(said).expanduser().absolute()
        folder = path.is_dir()
        if not folder and not path.is_file():
            return None
    except (OSError, RuntimeError, ValueError):  # a name that no file can have
        return None
    if folder and not (path / "model_index.json").is_file():
        return None
    weights = (folder_weights(path / "unet") or path) if folder else path
    root = Root(path.parent, kind)
    listed = Listed(path, weights, root, stamp_of(path, weights, kind), folder=folder)
    named = name_models([listed], {path: read_listed(listed, {})}, ())
    found = next((one for one in named if one.fact.kind == kind), None)
    if found is None:
        raise BadInputError(f"{said} is no {'checkpoint' if kind == 'checkpoint' else 'VAE'}. Name another file.")
    return found
