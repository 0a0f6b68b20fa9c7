"""Encodes prompts with a checkpoint's text models: chunks, embeddings, clip skip, emphasis (behaviours §3, §4)."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.engine.adapters.embeddings import Embedding, EmbeddingShelf
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint, TextEncoder
from gpu_worker.engine.conditioning.chunks import Chunk, Emphasis, Find, Vocabulary, chunk_prompt, empty_chunk
from gpu_worker.engine.conditioning.emphasis import apply_emphasis
from gpu_worker.engine.conditioning.guide import Encoded

__all__ = ["Reading", "encode_texts", "vocabulary_of"]

TEXTS_AT_ONCE = 16
"""Bounds memory; texts do not see each other, so this changes no value."""


@dataclass(frozen=True)
class Reading:
    """How texts are to be read."""

    clip_skip: int = 1
    """A1111's count: 1 is the last layer. Text models that have a layer of their own take no notice."""
    emphasis: Emphasis = "Original"
    shelf: EmbeddingShelf | None = None
    """The textual inversions that fit the checkpoint."""
    negative: bool = False
    check: Callable[[], None] = lambda: None
    """Called between pieces of work; may raise."""


def encode_texts(
    checkpoint: Checkpoint, texts: Sequence[str], reading: Reading, used: Callable[[Embedding], object]
) -> tuple[Encoded, ...]:
    """One call of A1111: all texts of a prompt's schedule. They get equal lengths (empty chunks fill the shorter ones),
    and each one's emphasis depends a little on the others. `used` is told each embedding that is read."""
    checkpoint.need("text")
    # An alternation has as many texts as steps, and few different ones.
    counts = Counter(texts)
    unique = list(counts)
    repeats = torch.tensor([float(counts[text]) for text in unique])
    contexts: list[torch.Tensor] = []
    pooled: torch.Tensor | None = None
    # SDXL was trained with zeros, not with the encoding of "", for a missing negative prompt (§3.5).
    silent = reading.negative and checkpoint.family in ("sdxl", "sdxl_refiner") and not any(texts)
    for encoder in checkpoint.text_encoders:
        chunks = _chunks(encoder, unique, reading, used)
        parts: list[torch.Tensor] = []
        for place in range(len(chunks[0])):
            encoded, summary = _encode(encoder, [of_text[place] for of_text in chunks], repeats, checkpoint, reading)
            parts.append(encoded)
            if place == 0 and summary is not None:
                pooled = summary
        contexts.append(torch.cat(parts, dim=1))
    context = torch.cat(contexts, dim=2).to(checkpoint.device.dtype)
    if silent:
        context = torch.zeros_like(context)
        pooled = torch.zeros_like(pooled) if pooled is not None else None
    found = {
        text: Encoded(context[i : i + 1], None if pooled is None else pooled[i : i + 1])
        for i, text in enumerate(unique)
    }
    return tuple(found[text] for text in texts)


def vocabulary_of(tokenizer: Any) -> Vocabulary:
    # The backend itself: the wrapper warns about every text that is longer than one chunk.
    backend = tokenizer.backend_tokenizer

    def tokenize(text: str) -> list[int]:
        return backend.encode(text, add_special_tokens=False).ids

    return Vocabulary(
        tokenize, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(",</w>")
    )


def _chunks(
    encoder: TextEncoder, texts: Sequence[str], reading: Reading, used: Callable[[Embedding], object]
) -> list[list[Chunk]]:
    """The chunks of each text; all texts have equally many."""
    vocabulary = vocabulary_of(encoder.tokenizer)
    find = _finder(reading.shelf, used) if reading.shelf else None
    of_texts = [chunk_prompt(_speakable(text), vocabulary, emphasis=reading.emphasis, find=find)[0] for text in texts]
    most = max(map(len, of_texts))
    return [chunks + [empty_chunk(vocabulary)] * (most - len(chunks)) for chunks in of_texts]


def _finder(shelf: EmbeddingShelf, used: Callable[[Embedding], object]) -> Find:
    def find(ids: Sequence[int], place: int) -> tuple[Embedding, int, int] | None:
        found = shelf.find(ids, place)
        if found is None:
            return None
        embedding, named = found
        used(embedding)
        return embedding, named, embedding.length

    return find


def _encode(
    encoder: TextEncoder, chunks: list[Chunk], repeats: torch.Tensor, checkpoint: Checkpoint, reading: Reading
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """[texts, 77, width] in float32 and, where the model has a projection, [texts, width]."""
    parts = [
        _read(encoder, chunks[start : start + TEXTS_AT_ONCE], checkpoint, reading)
        for start in range(0, len(chunks), TEXTS_AT_ONCE)
    ]
    encoded = torch.cat([part for part, _ in parts])
    weights = torch.tensor([chunk.weights for chunk in chunks], device=encoded.device)
    if not bool((weights == 1).all()):
        encoded = apply_emphasis(encoded, weights, reading.emphasis, repeats)
    summaries = [summary for _, summary in parts if summary is not None]
    return encoded, torch.cat(summaries).to(checkpoint.device.dtype) if summaries else None


def _read(
    encoder: TextEncoder, chunks: list[Chunk], checkpoint: Checkpoint, reading: Reading
) -> tuple[torch.Tensor, torch.Tensor | None]:
    reading.check()
    device = checkpoint.device.torch_device
    ids = torch.tensor([_padded(chunk.ids, encoder) for chunk in chunks], device=device)
    with _embedded(encoder, chunks):
        answer = encoder.model(input_ids=ids, output_hidden_states=True)
    states = answer.hidden_states
    layer = reading.clip_skip if encoder.skips else encoder.layer
    encoded = states[-min(layer, len(states) - 1)]
    if encoder.final_norm:
        encoded = _text_model(encoder.model).final_layer_norm(encoded)
    return encoded.float(), getattr(answer, "text_embeds", None)


def _padded(ids: tuple[int, ...], encoder: TextEncoder) -> tuple[int, ...]:
    """OpenCLIP's models read their own padding after the first end token."""
    end = int(encoder.tokenizer.eos_token_id)
    if encoder.pad == end:
        return ids
    filled = ids.index(end) + 1
    return (*ids[:filled], *[encoder.pad] * (len(ids) - filled))


@contextlib.contextmanager
def _embedded(encoder: TextEncoder, chunks: list[Chunk]) -> Iterator[None]:
    """Lays the vectors of textual inversions over what their placeholders look up."""
    if not any(chunk.fixes for chunk in chunks):
        yield
        return

    def replace(_module: Any, _given: Any, looked_up: torch.Tensor) -> torch.Tensor:
        looked_up = looked_up.clone()
        for row, chunk in enumerate(chunks):
            for fix in chunk.fixes:
                vectors = fix.embedding.vectors[encoder.kind].to(looked_up)
                looked_up[row, fix.at + 1 : fix.at + 1 + len(vectors)] = vectors
        return looked_up

    hook = _text_model(encoder.model).embeddings.token_embedding.register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()


def _text_model(model: Any) -> Any:
    # transformers before 5.6 wraps the text model once more
    return getattr(model, "text_model", model)


def _speakable(text: str) -> str:
    """Without lone surrogates, which no tokenizer can read."""
    return text.encode("utf-8", "ignore").decode("utf-8")
