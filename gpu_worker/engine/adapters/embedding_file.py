"""Reads textual inversions: new words for a text model, as vectors that stand where their name stands (behaviours §4).

Gal et al., "An Image is Worth One Word" (2022). Formats: A1111's `.pt` (`string_to_param`), the single tensor of
diffusers' concepts, SDXL's pair `clip_l` and `clip_g`, the same in safetensors, and pictures that carry one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gpu_worker.engine.adapters.embedding_picture import read_embedding_picture
from gpu_worker.engine.adapters.network_file import BUNDLE
from gpu_worker.engine.adapters.tensor_file import PICKLES, read_contents, read_tensors
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.errors import EngineError

__all__ = ["ANY", "Embedding", "read_bundled", "read_embedding"]

ANY = "any"
"""Key of vectors whose file does not say which text model they are for."""
LIMIT_BYTES = 64 << 20
DIGEST_DIGITS = 12

_PICTURES = frozenset({".png", ".webp", ".avif"})
_PAIR = ("clip_l", "clip_g")
_PAIR_OF_DIFFUSERS = {"text_encoders_0": "clip_l", "text_encoders_1": "clip_g"}
_PARAMETERS = "string_to_param"


@dataclass(frozen=True, eq=False)
class Embedding:
    name: str
    vectors: Mapping[str, torch.Tensor]
    """[length, width] in float32 by the kind of text model (`clip_l`, `clip_g`, `open_clip`), or under ANY."""
    digest: str
    """First digits of the file's sha256, for the infotext; empty for one that came in a LoRA's file."""

    @property
    def length(self) -> int:
        """How many places it takes in a prompt."""
        return next(iter(self.vectors.values())).shape[0]

    def fitted(self, checkpoint: Checkpoint) -> Embedding | None:
        """The same with vectors for exactly the checkpoint's text models; None where they do not fit."""
        widths = {encoder.kind: int(encoder.model.config.hidden_size) for encoder in checkpoint.text_encoders}
        vectors = dict(self.vectors)
        if len(widths) == 1 and ANY in vectors:
            vectors = {next(iter(widths)): vectors[ANY]}
        found = {kind: tensor.shape[1] for kind, tensor in vectors.items()}
        return Embedding(self.name, vectors, self.digest) if found == widths else None

    def fits(self, checkpoint: Checkpoint) -> bool:
        return self.fitted(checkpoint) is not None


def read_embedding(name: str, path: Path) -> Embedding:
    """`name` is the file's; a picture may carry another, which counts then.

    Raises EngineError `bad_model` for a file that is damaged, holds more than tensors, or no embedding.
    """
    what = {"embedding": name}
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise EngineError("bad_model", f"{path} is too large", {**what, "problem": "unknown_layout"})
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:DIGEST_DIGITS]
    except OSError as error:
        raise EngineError("bad_model", f"{path}: {error!r}", {**what, "problem": "corrupt"}) from error
    suffix = path.suffix.lower()
    if suffix in _PICTURES:
        contents = read_embedding_picture(path, what)
        inner = contents.get("name")
        name = inner.strip() if isinstance(inner, str) and inner.strip() else name
    elif suffix in PICKLES or suffix == ".safetensors":
        contents = read_contents(path, what)
    else:
        raise EngineError("bad_model", f"{path}: no such format", {**what, "problem": "unknown_layout"})
    return Embedding(name, _vectors(contents, path, what), digest)


def read_bundled(name: str, path: Path) -> tuple[Embedding, ...]:
    """The embeddings in a LoRA's file, `bundle_emb.<name>.…`; broken ones are left out. Raises for a broken file."""
    what = {"lora": name}
    bundles: dict[str, dict[str, Any]] = {}
    for key, tensor in read_tensors(path, what).items():
        if key.startswith(BUNDLE):
            own, _, rest = key.removeprefix(BUNDLE).partition(".")
            bundles.setdefault(own, {})[rest] = tensor
    found: list[Embedding] = []
    for own, contents in bundles.items():
        try:
            found.append(Embedding(own, _vectors(contents, path, what), ""))
        except EngineError:
            continue
    return tuple(found)


def _vectors(contents: Any, path: Path, what: dict[str, str]) -> dict[str, torch.Tensor]:
    found = {kind: _checked(value) for kind, value in _candidates(contents).items()}
    vectors = {kind: value for kind, value in found.items() if value is not None}
    if not vectors or len(vectors) < len(found) or len({value.shape[0] for value in vectors.values()}) > 1:
        raise EngineError("bad_model", f"{path}: no embedding", {**what, "problem": "unknown_layout"})
    if not all(bool(value.isfinite().all()) for value in vectors.values()):
        raise EngineError("bad_model", f"{path}: no numbers", {**what, "problem": "corrupt"})
    return vectors


def _candidates(contents: Any) -> dict[str, Any]:
    """What each text model would get, as the file has it; nothing for a file of no known form."""
    if not isinstance(contents, dict):
        return {}
    parameters = contents.get(_PARAMETERS)
    if isinstance(parameters, dict):
        return {ANY: next(iter(parameters.values()))} if len(parameters) == 1 else {}
    flat = [value for key, value in contents.items() if str(key).startswith(f"{_PARAMETERS}.")]
    if flat:
        return {ANY: flat[0]} if len(flat) == 1 else {}
    renamed = {_PAIR_OF_DIFFUSERS.get(key, key): value for key, value in contents.items()}
    if all(kind in renamed for kind in _PAIR):
        return {kind: renamed[kind] for kind in _PAIR}
    return {ANY: next(iter(contents.values()))} if len(contents) == 1 else {}


def _checked(value: Any) -> torch.Tensor | None:
    """[n, width] in memory of its own; None for what are no vectors."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.dim() not in (1, 2):
        return None
    vectors = value.detach().to(torch.float32, copy=True)
    vectors = vectors.unsqueeze(0) if vectors.dim() == 1 else vectors
    return vectors if vectors.numel() else None
