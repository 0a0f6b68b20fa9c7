"""Reads the tensors of an adapter's file, whatever its format, without ever executing what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gpu_worker.engine.checkpoints.pickles import load_pickle
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.headers import HeaderError

__all__ = ["PICKLES", "read_contents", "read_tensors"]

PICKLES = frozenset({".pt", ".ckpt", ".bin", ".pth"})


def read_contents(path: Path, what: dict[str, str]) -> Any:
    """What a pickle holds (behaviours §12.2), or the dict of a safetensors file's tensors, all on the CPU.

    Raises EngineError `bad_model`, whose detail holds `what` and the `problem`.
    """
    try:
        return load_pickle(path) if path.suffix.lower() in PICKLES else load_file(path, device="cpu")
    except HeaderError as error:
        raise EngineError("bad_model", f"{path}: {error!r}", {**what, "problem": error.problem}) from error
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise EngineError("bad_model", f"{path}: {error!r}", {**what, "problem": "corrupt"}) from error


def read_tensors(path: Path, what: dict[str, str]) -> dict[str, torch.Tensor]:
    """The tensors by key, where they lie at the top or below `state_dict`. Raises as `read_contents` does."""
    contents = read_contents(path, what)
    if isinstance(contents, dict) and isinstance(contents.get("state_dict"), dict):
        contents = contents["state_dict"]
    if not isinstance(contents, dict):
        raise EngineError("bad_model", f"{path}: {type(contents)}", {**what, "problem": "unknown_layout"})
    return {str(key): tensor for key, tensor in contents.items() if isinstance(tensor, torch.Tensor)}
