"""Encodes prompts with the checkpoint's CLIP text model: chunks, clip skip, and emphasis after encoding."""

from __future__ import annotations

from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.conditioning.chunks import Chunk, Vocabulary, chunk_prompt

__all__ = ["apply_emphasis", "encode_prompt", "vocabulary_of"]

CHUNKS_AT_ONCE = 16
"""Bounds memory for very long prompts; chunks do not see each other, so this changes no value."""


def encode_prompt(checkpoint: Checkpoint, prompt: str, clip_skip: int) -> torch.Tensor:
    """[1, 77 * chunks, width] in the UNet's precision. `clip_skip` counts as A1111 does: 1 is the last layer."""
    chunks, _ = chunk_prompt(_speakable(prompt), vocabulary_of(checkpoint))
    parts = [
        _encode(checkpoint, chunks[start : start + CHUNKS_AT_ONCE], clip_skip)
        for start in range(0, len(chunks), CHUNKS_AT_ONCE)
    ]
    encoded = torch.cat(parts)
    return encoded.reshape(1, -1, encoded.shape[-1]).to(checkpoint.unet.dtype)


def vocabulary_of(checkpoint: Checkpoint) -> Vocabulary:
    tokenizer = checkpoint.text_encoders[0].tokenizer
    # The backend itself: the wrapper warns about every text that is longer than one chunk.
    backend = tokenizer.backend_tokenizer

    def tokenize(text: str) -> list[int]:
        return backend.encode(text, add_special_tokens=False).ids

    comma = tokenizer.get_vocab()[",</w>"]
    return Vocabulary(tokenize, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, comma)


def apply_emphasis(encoded: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """A1111's "Original" mode: each token times its weight, then each chunk scaled back to its mean before.

    `encoded` is [chunks, 77, width], `weights` [chunks, 77]. Where weights make the new mean vanish no scaling is
    possible, and none is done.
    """
    weighted = encoded * weights.unsqueeze(-1)
    scale = encoded.mean(dim=(1, 2), keepdim=True) / weighted.mean(dim=(1, 2), keepdim=True)
    return weighted * torch.where(torch.isfinite(scale), scale, torch.ones_like(scale))


def _encode(checkpoint: Checkpoint, chunks: list[Chunk], clip_skip: int) -> torch.Tensor:
    model = checkpoint.text_encoders[0].model
    device = checkpoint.device.torch_device
    ids = torch.tensor([chunk.ids for chunk in chunks], device=device)
    states = model(input_ids=ids, output_hidden_states=True).hidden_states
    layer = min(clip_skip, len(states) - 1)
    encoded = _final_norm(model)(states[-layer]).float()
    weights = torch.tensor([chunk.weights for chunk in chunks], device=device)
    return encoded if bool((weights == 1).all()) else apply_emphasis(encoded, weights)


def _final_norm(model: Any) -> Any:
    # transformers before 5.6 wraps the text model once more
    return getattr(model, "text_model", model).final_layer_norm


def _speakable(text: str) -> str:
    """Without lone surrogates, which no tokenizer can read."""
    return text.encode("utf-8", "ignore").decode("utf-8")
