"""What this worker found out about a model beyond its header: its hash, and what a probe measured."""

from __future__ import annotations

from typing import Any

from gpu_worker.engine.checkpoints.hashes import HashBook
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import ModelFact

__all__ = ["known_fact"]

NOISE_SD2_PX = 512
"""Stable Diffusion 2's models that predict noise were trained at this size, those that predict velocity at 768."""


def known_fact(model: ModelFile, book: HashBook) -> ModelFact:
    """Never reads the model; a size that the file itself states stays."""
    fact, found = model.fact, dict[str, Any]()
    if sha256 := book.known(model.weights):
        found["sha256"] = sha256
    if fact.kind == "checkpoint" and fact.family == "sd2":
        measured = book.noted(model.weights, "prediction")
        if measured in {"epsilon", "v"}:
            found["prediction"] = measured
            if measured == "epsilon" and "modelspec.resolution" not in model.reading.details.metadata:
                found["native_px"] = NOISE_SD2_PX
    return fact.model_copy(update=found) if found else fact
