"""Cuts a weighted prompt of any length into the 75-token chunks that CLIP can read, as A1111 does (behaviours §3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gpu_worker.language.attention import BREAK, parse_attention

__all__ = ["CHUNK_TOKENS", "Chunk", "Emphasis", "Find", "Fix", "Vocabulary", "chunk_prompt", "empty_chunk"]

CHUNK_TOKENS = 75
COMMA_BACKTRACK = 20
"""A full chunk is cut after its last comma, if that is at most this many tokens back."""
PLACEHOLDER = 0
"""Id at the places of an embedding, whose vectors replace what it looks up."""

Emphasis = Literal["Original", "No norm", "Ignore", "None"]


@dataclass(frozen=True)
class Vocabulary:
    tokenize: Callable[[str], list[int]]
    """Ids without start and end, of any length."""
    start: int
    end: int
    comma: int


@dataclass(frozen=True)
class Fix:
    """A textual inversion in a chunk."""

    at: int
    """Place of its first vector among the chunk's 75 tokens."""
    embedding: Any


@dataclass(frozen=True)
class Chunk:
    """77 token ids with their weights: start, 75 tokens or padding with the end token, end."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    fixes: tuple[Fix, ...] = ()


Find = Callable[[Sequence[int], int], "tuple[Any, int, int] | None"]
"""(ids of a text, place) → (embedding, how many tokens its name took, how many vectors it has), or None."""


@dataclass
class _Filling:
    tokens: list[int] = field(default_factory=list[int])
    weights: list[float] = field(default_factory=list[float])
    fixes: list[Fix] = field(default_factory=list[Fix])
    last_comma: int = -1


def empty_chunk(vocabulary: Vocabulary) -> Chunk:
    return _closed(_Filling(), vocabulary)


def chunk_prompt(
    prompt: str,
    vocabulary: Vocabulary,
    *,
    emphasis: Emphasis = "Original",
    find: Find | None = None,
    backtrack: int = COMMA_BACKTRACK,
) -> tuple[list[Chunk], int]:
    """At least one chunk, and the token count that A1111 displays (padding before a cut counts).

    An embedding is never split; one of more vectors than a chunk holds is ordinary text. A1111 leaves an embedding
    behind when it moves the words after a comma to the next chunk; here it moves with them.
    """
    chunks: list[Chunk] = []
    count = 0
    now = _Filling()

    def close(*, last: bool = False) -> None:
        nonlocal count, now
        count += len(now.tokens) if last else CHUNK_TOKENS
        chunks.append(_closed(now, vocabulary))
        now = _Filling()

    def moved(cut: int) -> _Filling:
        rest = _Filling(now.tokens[cut:], now.weights[cut:])
        rest.fixes = [Fix(fix.at - cut, fix.embedding) for fix in now.fixes if fix.at >= cut]
        now.fixes = [fix for fix in now.fixes if fix.at < cut]
        del now.tokens[cut:], now.weights[cut:]
        return rest

    parts = [(prompt, 1.0)] if emphasis == "None" else parse_attention(prompt)
    for text, weight in parts:
        if (text, weight) == BREAK and emphasis != "None":
            close()
            continue
        ids = vocabulary.tokenize(text)
        place = 0
        while place < len(ids):
            full = len(now.tokens) == CHUNK_TOKENS
            if ids[place] == vocabulary.comma:
                now.last_comma = len(now.tokens)
            elif full and backtrack and now.last_comma >= 0 and CHUNK_TOKENS - now.last_comma <= backtrack:
                rest = moved(now.last_comma + 1)
                close()
                now = rest
                full = False
            if full:
                close()
            found = find(ids, place) if find else None
            if found is None or found[2] > CHUNK_TOKENS:
                now.tokens.append(ids[place])
                now.weights.append(weight)
                place += 1
                continue
            embedding, named, vectors = found
            if len(now.tokens) + vectors > CHUNK_TOKENS:
                close()
            now.fixes.append(Fix(len(now.tokens), embedding))
            now.tokens += [PLACEHOLDER] * vectors
            now.weights += [weight] * vectors
            place += named
    if now.tokens or not chunks:
        close(last=True)
    return chunks, count


def _closed(filling: _Filling, vocabulary: Vocabulary) -> Chunk:
    missing = CHUNK_TOKENS - len(filling.tokens)
    return Chunk(
        (vocabulary.start, *filling.tokens, *[vocabulary.end] * missing, vocabulary.end),
        (1.0, *filling.weights, *[1.0] * missing, 1.0),
        tuple(filling.fixes),
    )
