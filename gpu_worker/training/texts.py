"""Captions as vectors, through text encoders that may be learning themselves.

As sd-scripts reads them: no emphasis, and cut after `max_token_length` tokens; longer texts in chunks of 75 between one
start and one end token (behaviours §24.1, §24.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint, TextEncoder
from gpu_worker.engine.conditioning.encode import vocabulary_of
from gpu_worker.language.training.parameters import Parameters

__all__ = ["ReadTexts", "read_texts"]

CHUNK = 75

Tensor = torch.Tensor


@dataclass(frozen=True)
class ReadTexts:
    context: Tensor
    """[texts, tokens, width]."""
    pooled: Tensor | None
    """[texts, width]: SDXL's second input."""


def read_texts(checkpoint: Checkpoint, captions: Sequence[str], given: Parameters) -> ReadTexts:
    contexts: list[Tensor] = []
    pooled: Tensor | None = None
    for encoder in checkpoint.text_encoders:
        context, summary = _read(encoder, captions, given, checkpoint.device.torch_device)
        contexts.append(context)
        pooled = pooled if summary is None else summary
    return ReadTexts(torch.cat(contexts, dim=2), pooled)


def _read(
    encoder: TextEncoder, captions: Sequence[str], given: Parameters, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    chunks = given.max_token_length // CHUNK
    rows = [_chunks(encoder, caption, chunks) for caption in captions]
    ids = torch.tensor([chunk for row in rows for chunk in row], device=device)
    answer = encoder.model(input_ids=ids, output_hidden_states=True)
    states = answer.hidden_states
    layer = (given.clip_skip or 1) if encoder.skips else encoder.layer
    context = states[-min(layer, len(states) - 1)]
    if encoder.final_norm:
        context = getattr(encoder.model, "text_model", encoder.model).final_layer_norm(context)
    summary = getattr(answer, "text_embeds", None)
    if summary is not None:
        summary = summary.view(len(captions), chunks, -1)[:, 0]
    if chunks == 1:
        return context, summary
    context = context.view(len(captions), chunks, CHUNK + 2, -1)
    inner = context[:, :, 1:-1].flatten(1, 2)
    return torch.cat([context[:, 0, :1], inner, context[:, -1, -1:]], dim=1), summary


def _chunks(encoder: TextEncoder, caption: str, count: int) -> list[list[int]]:
    """`count` rows of 77. OpenCLIP's models read zeros after the end token, CLIP-L further end tokens."""
    tokenizer: Any = encoder.tokenizer
    words = vocabulary_of(tokenizer)
    # Without lone surrogates, which no tokenizer can read.
    tokens = words.tokenize(caption.encode("utf-8", "ignore").decode("utf-8"))[: count * CHUNK]
    start, end = int(tokenizer.bos_token_id), int(tokenizer.eos_token_id)
    rows: list[list[int]] = []
    for place in range(0, count * CHUNK, CHUNK):
        row = [start, *tokens[place : place + CHUNK], end]
        rows.append(row + [encoder.pad] * (CHUNK + 2 - len(row)))
    return rows
