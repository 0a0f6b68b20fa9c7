"""Cuts a weighted prompt of any length into the 75-token chunks that CLIP can read, as A1111 does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gpu_worker.language.attention import BREAK, parse_attention

__all__ = ["CHUNK_TOKENS", "Chunk", "Vocabulary", "chunk_prompt"]

CHUNK_TOKENS = 75
COMMA_BACKTRACK = 20
"""A full chunk is cut after its last comma, if that is at most this many tokens back."""


@dataclass(frozen=True)
class Vocabulary:
    tokenize: Callable[[str], list[int]]
    """Ids without start and end, of any length."""
    start: int
    end: int
    pad: int
    comma: int


@dataclass(frozen=True)
class Chunk:
    """77 token ids with their weights: start, 75 tokens or padding, end."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass
class _Filling:
    tokens: list[int] = field(default_factory=list[int])
    weights: list[float] = field(default_factory=list[float])
    last_comma: int = -1


def chunk_prompt(prompt: str, vocabulary: Vocabulary, backtrack: int = COMMA_BACKTRACK) -> tuple[list[Chunk], int]:
    """At least one chunk, and the token count that A1111 displays (padding before a cut counts)."""
    chunks: list[Chunk] = []
    count = 0
    now = _Filling()

    def close(*, last: bool = False) -> None:
        nonlocal count, now
        count += len(now.tokens) if last else CHUNK_TOKENS
        missing = CHUNK_TOKENS - len(now.tokens)
        chunks.append(
            Chunk(
                (vocabulary.start, *now.tokens, *[vocabulary.pad] * missing, vocabulary.end),
                (1.0, *now.weights, *[1.0] * missing, 1.0),
            )
        )
        now = _Filling()

    for text, weight in parse_attention(prompt):
        if (text, weight) == BREAK:
            close()
            continue
        for token in vocabulary.tokenize(text):
            full = len(now.tokens) == CHUNK_TOKENS
            if token == vocabulary.comma:
                now.last_comma = len(now.tokens)
            elif full and backtrack and now.last_comma >= 0 and CHUNK_TOKENS - now.last_comma <= backtrack:
                cut = now.last_comma + 1
                moved = _Filling(now.tokens[cut:], now.weights[cut:])
                del now.tokens[cut:], now.weights[cut:]
                close()
                now = moved
                full = False
            if full:
                close()
            now.tokens.append(token)
            now.weights.append(weight)
    if now.tokens or not chunks:
        close(last=True)
    return chunks, count
