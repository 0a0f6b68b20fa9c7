"""The contract suite's engine with large pictures, and with a poison that begins to draw before it kills."""

from __future__ import annotations

import os
from typing import Any

from gpu_worker.protocol.specs import JobSpec, Train
from gpu_worker.task import JobHooks
from tests.contract.stub_engine import StubEngine, StubPicture, picture_bytes

__all__ = ["ChaosEngine", "picture_of"]


def picture_of(label: str, seed: int, words: str) -> bytes:
    """`big:N` of the words: of at least N thousand bytes, so that it travels in several pieces."""
    known = _words(words)
    body = picture_bytes(label, seed)
    return body * (1 + int(known.get("big", 0)) * 1000 // len(body))


class ChaosEngine(StubEngine):
    def draw(self, spec: JobSpec | Train, hooks: JobHooks) -> list[StubPicture]:
        prompt = "" if isinstance(spec, Train) else spec.prompt
        words = _words(prompt)
        drawn = super().draw(spec, hooks)
        if "dies" in words and not words["dies"]:
            os._exit(9)
        label = words.get("label", "?")
        return [picture._replace(png=picture_of(label, picture.seed, prompt)) for picture in drawn]


def _words(prompt: str) -> dict[str, Any]:
    return dict(word.partition(":")[::2] for word in prompt.split())
