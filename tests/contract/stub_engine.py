"""An engine that draws nothing: words of the prompt steer it, a journal file tells the test what it did.

label:NAME    what the journal calls the job          sleep:S   takes S seconds, in steps that can be cancelled
block:S       blocks the GPU thread for S seconds     poison    kills its own process, as a segfault would
fail:KIND     fails as the engine would               flaky:N   fails N times in a way worth another try
bug           raises what no engine should            odd       a failure kind that the protocol does not know
parts:N       made of N parts, each kept once made    dies:A,B  kills its process in starts A, B, … after a part each

A training (`Train`) takes STEP_S a step, keeps how far it is beside the journal, and saves every SAVED_EVERY steps.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import JobSpec, Train
from gpu_worker.task import JobHooks, JobPaused

MODELS = ("m1", "m2", "m3", "m4")
STEP_S = 0.01
SAVED_EVERY = 25


class StubError(Exception):
    def __init__(self, kind: str, detail: dict[str, Any] | None = None, *, retryable: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.detail, self.retryable = kind, detail or {}, retryable


class StubCancelled(Exception):
    pass


class StubPicture(NamedTuple):
    png: bytes
    width: int
    height: int
    seed: int
    variation_seed: int | None
    infotext: str


def picture_bytes(label: str, seed: int) -> bytes:
    return f"picture of {label}, seed {seed}\n".encode() * 50


class StubEngine:
    device_name = "stub"
    vram_mb = 0

    def __init__(self, journal: Path) -> None:
        self.loaded: str | None = None
        self._journal = journal

    def facts(self) -> tuple[m.ModelFact, ...]:
        return tuple(m.ModelFact(kind="checkpoint", name=name) for name in MODELS)

    def vram_free_mb(self) -> int | None:
        return None

    def prepare(self, checkpoint: str) -> None:
        self._load(checkpoint)

    def draw(self, spec: JobSpec | Train, hooks: JobHooks) -> list[StubPicture]:
        if isinstance(spec, Train):
            self._train(spec, hooks)
            return []
        words = dict(word.partition(":")[::2] for word in spec.prompt.split())
        label = words.get("label", "?")
        self._note("start", label)
        self._load(spec.checkpoint)
        if "poison" in words:
            os._exit(9)
        if "block" in words:
            time.sleep(float(words["block"]))
        steps = max(1, round(float(words.get("sleep", 0)) / STEP_S))
        for step in range(steps):
            if hooks.cancelled():
                self._note("cancelled", label)
                raise StubCancelled
            hooks.progress("sampling", step + 1, steps, None)
            if "sleep" in words:
                time.sleep(STEP_S)
        self._fail(words, label)
        self._make_parts(words, label, hooks)
        self._note("end", label)
        return [
            StubPicture(
                picture_bytes(label, spec.seed + i),
                spec.width,
                spec.height,
                spec.seed + i,
                None,
                f"seed {spec.seed + i}",
            )
            for i in range(spec.count)
        ]

    def _train(self, spec: Train, hooks: JobHooks) -> None:
        state, name = self._journal.with_name(f"state-{hooks.job}"), spec.output_name
        total = spec.parameters.max_train_steps
        step = int(state.read_text()) if state.exists() else 0
        self._note("start", name)
        while step < total:
            if hooks.cancelled():
                raise StubCancelled
            if reason := hooks.pause():
                self._note("paused", name)
                raise JobPaused(step, total, reason)
            time.sleep(STEP_S)
            step += 1
            self._note(f"step {step}", name)
            told = m.TrainingTold(epoch=1, epochs=1, step=step, total_steps=total, average_loss=0.1, curve=(0.1,))
            hooks.progress("training", step, total, None, told)
            if step % SAVED_EVERY == 0 or step == total:
                self._save(name, step, hooks, final=step == total)
            beside = state.with_suffix(".part")
            beside.write_text(str(step))
            beside.replace(state)
        self._note("end", name)

    def _save(self, name: str, step: int, hooks: JobHooks, *, final: bool) -> None:
        content = f"{name} after {step} steps".encode()
        path = self._journal.with_name(f"saved-{hooks.job}-{step}")
        path.write_bytes(content)
        called = name if final else f"{name}-step{step:08d}"
        saved = m.SavedModel(name=called, epoch=1, step=step, final=final, loss=0.1)
        hooks.save(saved, path, hashlib.sha256(content).hexdigest(), len(content))

    def _make_parts(self, words: dict[str, str], label: str, hooks: JobHooks) -> None:
        dies = {int(start) for start in words.get("dies", "").split(",") if start}
        for number in range(int(words.get("parts", 0))):
            bytes_of_part = f"part {number} of {label}".encode()
            if hooks.part(number) == bytes_of_part:
                assert hooks.state is not None
                continue
            self._note("part", f"{label} {number}")
            hooks.keep(number, bytes_of_part, f"up to {number}".encode())
            if self._count("start", label) in dies:
                os._exit(9)
            if "slow" in words:
                time.sleep(float(words["slow"]))
            if hooks.cancelled():
                raise StubCancelled

    def _fail(self, words: dict[str, str], label: str) -> None:
        if "fail" in words:
            raise StubError(words["fail"], {"checkpoint": label})
        if "flaky" in words and self._count("start", label) <= int(words["flaky"]):
            raise StubError("oom", retryable=True)
        if "bug" in words:
            raise ZeroDivisionError("a bug of the engine's")
        if "odd" in words:
            raise StubError("fire", {"unpackable": object()})

    def _load(self, model: str) -> None:
        if self.loaded != model:
            self._note("load", model)
            self.loaded = model

    def _count(self, event: str, label: str) -> int:
        return self._journal.read_text().splitlines().count(f"{event} {label}")

    def _note(self, event: str, label: str) -> None:
        # One write of one short line to a file opened for appending is not torn, whoever else writes.
        with self._journal.open("ab", buffering=0) as journal:
            journal.write(f"{event} {label}\n".encode())
