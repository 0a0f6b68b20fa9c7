"""The contract suite's engine with large pictures, and with a poison that begins to draw before it kills."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from gpu_worker.protocol.specs import Img2Img, JobSpec, Train
from gpu_worker.task import JobHooks
from tests.contract.stub_engine import SAVED_EVERY, StubEngine, StubError, StubPicture, picture_bytes

__all__ = ["ChaosEngine", "given_of", "picture_of", "trained_of"]


def given_of(label: str, kilobytes: int) -> bytes:
    """What a user starts from; empty where they start from nothing."""
    line = f"given with {label}\n".encode()
    return line * (kilobytes * 1000 // len(line))


def picture_of(label: str, seed: int, words: str, given: bytes = b"") -> bytes:
    """`big:N` of the words: of at least N thousand bytes, so that it travels in several pieces."""
    known = _words(words)
    body = picture_bytes(label, seed) + (hashlib.sha256(given).digest() if given else b"")
    return body * (1 + int(known.get("big", 0)) * 1000 // len(body))


def trained_of(name: str, steps: int) -> list[bytes]:
    """The files that a training leaves."""
    return [
        f"{name} after {step} steps".encode() for step in range(1, steps + 1) if not step % SAVED_EVERY or step == steps
    ]


class ChaosEngine(StubEngine):
    def _save(self, name: str, step: int, hooks: JobHooks, *, final: bool) -> None:
        try:
            super()._save(name, step, hooks, final=final)
        except OSError as error:  # as a trainer does: its user is told to make room and to go on
            raise StubError("disk_full") from error

    def draw(self, spec: JobSpec | Train, hooks: JobHooks) -> list[StubPicture]:
        prompt = "" if isinstance(spec, Train) else spec.prompt
        words = _words(prompt)
        given = hooks.open_image(spec.image) if isinstance(spec, Img2Img) else b""
        drawn = super().draw(spec, hooks)
        if "dies" in words and not words["dies"]:
            os._exit(9)
        label = words.get("label", "?")
        return [picture._replace(png=picture_of(label, picture.seed, prompt, given)) for picture in drawn]


def _words(prompt: str) -> dict[str, Any]:
    return dict(word.partition(":")[::2] for word in prompt.split())
