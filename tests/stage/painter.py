"""A worker that draws at once: a BotTransport whose pictures are flat colours of the right size with right infotext.

What it was asked is in `assigned`; `hold()`, `fail()`, `preview`, `answers` change what it does with the next jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from bot.dispatch.transport import OnGone, OnMessage
from bot.studio.fleet.look import own_version
from gpu_worker.language.control_fields import map_fields
from gpu_worker.language.infotext import build_infotext
from gpu_worker.language.names import SamplerChoice, sampler_and_schedule
from gpu_worker.language.passes import hires_target
from gpu_worker.language.picture_fields import DrawnWith, extras_fields, picture_fields
from gpu_worker.language.ultimate_fields import ultimate_fields
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.safety import Looked
from gpu_worker.protocol.specs import (
    DRAW_TASKS,
    ImageRef,
    Img2Img,
    Preprocess,
    Sheet,
    StoredSource,
    Train,
    Txt2Img,
    Ultimate,
    Upscale,
    Variation,
)
from tests.stage.training_painter import TrainingPainter

__all__ = ["FACTS", "Drawn", "Failure", "Painter"]

NAME = "w1"

FACTS = (
    m.ModelFact(kind="checkpoint", name="dreamy", family="sd1", native_px=512, sha256="d" * 64),
    m.ModelFact(kind="checkpoint", name="photo-xl", family="sdxl", native_px=1024, sha256="e" * 64),
    m.ModelFact(kind="checkpoint", name="dreamy-inpainting", family="sd1", variant="inpaint", native_px=512),
    m.ModelFact(kind="vae", name="soft", family="sd1"),
    m.ModelFact(kind="lora", name="inkwash", family="sd1", alias="ink"),
    m.ModelFact(kind="lora", name="neon", family="sdxl"),
    m.ModelFact(kind="embedding", name="bad-hands", family="sd1"),
    m.ModelFact(kind="upscaler", name="4x-sharp"),
    m.ModelFact(kind="tagger", name="tagger-v3"),
    m.ModelFact(kind="detector", name="face-finder"),
)


@dataclass(frozen=True)
class Drawn:
    """One output."""

    data: bytes
    width: int
    height: int
    seed: int
    infotext: str
    mime: str = "image/png"
    variation_seed: int | None = None


@dataclass
class Failure:
    kind: m.FailureKind = "other"
    detail: dict[str, Any] = field(default_factory=dict[str, Any])
    retryable: bool = False


class Painter:
    """Outlives the bots of a stage, as an outbox does: what a killed bot did not store, the next one is given."""

    connected = True

    def __init__(self, folder: Path, facts: tuple[m.ModelFact, ...] = FACTS) -> None:
        self.facts = facts
        """Set before the bot starts, or call `announce()` afterwards."""
        self.tasks: tuple[str, ...] = DRAW_TASKS
        self.assigned: list[m.Assign] = []
        """Every job that was handed out, oldest first."""
        self.cancelled: list[str] = []
        self.answers: dict[str, Callable[[Any], list[Drawn]]] = {}
        """By a spec's `kind`: what is drawn instead of, or for a task that the painter does not know. It may raise
        or return; it runs in a thread."""
        self.preview: bytes | None = None
        """Sent with the progress of every job, once, before its picture."""
        self.safety: str | None = None
        """Name of its classifier, told with `announce()`."""
        self.look: Callable[[Any, int], Looked | None] = lambda spec, index: None
        """What the classifier says of picture `index` of a spec."""
        self.lacks: Callable[[Any], m.FailureKind | None] = lambda cell: None
        """Why a cell of a sheet cannot be drawn; None for one that can."""
        self.trainer = TrainingPainter(folder, NAME)
        """Trains what is of the kind `train`, once `tasks` names it."""
        self._parts: dict[tuple[str, int, int], m.Partial] = {}
        self._failures: list[Failure] = []
        self._open = asyncio.Event()
        self._open.set()
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._outbox: dict[tuple[str, int], m.Done | m.Paused] = {}
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._boots = itertools.count(1)
        self._boot = ""
        self._on_message: OnMessage | None = None
        self._turn = asyncio.Lock()
        self._handed_out = asyncio.Condition()
        self._helloes: set[asyncio.Task[None]] = set()

    # --- what a test says ---------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Jobs that are handed out from now on start (the card says so) and are not finished before `release()`."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def step(self) -> None:
        """The job that is held goes on; the next is held."""
        while not self._open._waiters:
            await asyncio.sleep(0.005)
        self.release()
        self.hold()

    def fail(self, kind: m.FailureKind = "other", *, times: int = 1, retryable: bool = False, **detail: Any) -> None:
        """The next `times` jobs fail."""
        self._failures += [Failure(kind, detail, retryable) for _ in range(times)]

    async def asked(self, jobs: int = 1, within_s: float = 60.0) -> None:
        """Until that many jobs have been handed out in all."""
        async with asyncio.timeout(within_s), self._handed_out:
            await self._handed_out.wait_for(lambda: len(self.assigned) >= jobs)

    @property
    def specs(self) -> list[Any]:
        """What was drawn, oldest first."""
        return [assign.spec for assign in self.assigned]

    def input(self, ref: ImageRef) -> bytes:
        """An input picture as the worker got it."""
        return (self._folder / "inputs" / ref.ref).read_bytes()

    async def announce(self) -> None:
        """Says hello (again), with `facts` and `tasks` as they are now."""
        assert self._on_message is not None
        running = tuple(m.Running(job=job, attempt=attempt, phase="sampling") for job, attempt in self._running)
        checkpoint = next((fact.name for fact in self.facts if fact.kind == "checkpoint"), None)
        await self._on_message(
            m.Hello(
                worker=NAME, app_version=own_version(), boot=self._boot, name=NAME, gpu="stage", vram_mb=24_000,
                tasks=self.tasks, models=self.facts, loaded=checkpoint, running=running, safety=self.safety,
            )
        )  # fmt: skip

    def kill(self) -> None:
        """Its bot is dead: nothing is told any more, what is being drawn is lost."""
        self._on_message = None
        for task in self._running.values():
            task.cancel()
        self._running.clear()

    # --- BotTransport -------------------------------------------------------------------------------------------------

    async def start(self, on_message: OnMessage, on_gone: OnGone) -> None:
        self._on_message = on_message
        self._boot = f"boot {next(self._boots)}"
        for message in [*self._parts.values(), *self._outbox.values()]:
            await on_message(message)
        task = asyncio.create_task(self.announce(), name="painter-hello")
        self._helloes.add(task)
        task.add_done_callback(self._helloes.discard)

    async def stop(self) -> None:
        tasks = [*self._running.values()]
        self.kill()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def assign(self, worker: str, message: m.Assign) -> bool | None:
        async with self._handed_out:
            self.assigned.append(message)
            self._handed_out.notify_all()
        if not isinstance(message.spec, Train):  # a training makes way at its next step
            self.trainer.pause("others")
        key = (message.job, message.attempt)
        task = self._running[key] = asyncio.create_task(self._draw(message), name=f"paint-{message.job}")
        task.add_done_callback(lambda _: self._running.pop(key, None))
        return True

    async def send(self, worker: str, message: m.ToWorker) -> None:
        if not isinstance(message, m.Cancel):
            return
        if message.reason == "pause":
            if self.trainer.running == message.job:
                self.trainer.pause("asked")
            return
        task = self._running.pop((message.job, message.attempt), None)
        if task is not None:
            self.cancelled.append(message.job)
            task.cancel()
            await self._tell(m.Cancelled(worker=NAME, job=message.job, attempt=message.attempt))

    async def fetch(self, done: m.Done, output: m.Output) -> Path:
        return self._folder / output.blob

    async def settled(self, message: m.Settled) -> None:
        self._outbox.pop((message.job, message.attempt), None)

    async def taken(self, part: m.Partial) -> None:
        self._parts.pop((part.job, part.attempt, part.n), None)

    async def put_file(self, path: Path, sha256: str, mime: str) -> ImageRef:
        return await self.put_input(path.read_bytes(), mime)

    async def put_input(self, data: bytes, mime: str) -> ImageRef:
        digest = hashlib.sha256(data).hexdigest()
        (self._folder / "inputs").mkdir(exist_ok=True)
        (self._folder / "inputs" / digest).write_bytes(data)
        return ImageRef(ref=digest, sha256=digest, mime=mime, size_bytes=len(data))

    # --- drawing ------------------------------------------------------------------------------------------------------

    async def _tell(self, message: m.ToBot) -> None:
        if isinstance(message, m.Partial):
            self._parts[message.job, message.attempt, message.n] = message
        if self._on_message is not None:
            with contextlib.suppress(Exception):  # a bot that dies at this moment
                await self._on_message(message)

    async def _draw(self, assign: m.Assign) -> None:
        async with self._turn:  # one job at a time, like a card
            steps = int(getattr(assign.spec, "steps", 1))
            frame = {"worker": NAME, "job": assign.job, "attempt": assign.attempt}
            preview = self.preview if assign.preview.hz > 0 else None
            guarded = assign.preview.guarded and self.safety is not None
            await self._tell(
                m.Progress(
                    **frame, n=1, phase="sampling", step=0, of=steps, preview=preview, preview_guarded=guarded
                )
            )  # fmt: skip
            if isinstance(assign.spec, Train):
                if not self._failures:
                    ended = await self.trainer.train(assign, self._tell, self._open)
                    self._outbox[assign.job, assign.attempt] = ended
                    await self._tell(ended)
                    return
            else:
                await self._open.wait()
            if self._failures:
                failure = self._failures.pop(0)
                await self._tell(
                    m.Failed(**frame, kind=failure.kind, detail=failure.detail, retryable=failure.retryable)
                )
                return
            make = self.answers.get(assign.spec.kind, self._pictures)
            drawn = await asyncio.to_thread(make, assign.spec)
            outputs = tuple(await asyncio.to_thread(self._stored, assign, drawn))
            done = m.Done(**frame, outputs=outputs, run_s=0.1, missing=tuple(self._missing(assign.spec)))
            self._outbox[assign.job, assign.attempt] = done
        await self._tell(done)

    def _stored(self, assign: m.Assign, drawn: list[Drawn]) -> list[m.Output]:
        outputs: list[m.Output] = []
        for index, each in enumerate(drawn):
            blob = f"{assign.job}.{assign.attempt}.{index}"
            (self._folder / blob).write_bytes(each.data)
            outputs.append(
                m.Output(
                    blob=blob, size_bytes=len(each.data), sha256=hashlib.sha256(each.data).hexdigest(), mime=each.mime,
                    width=each.width, height=each.height, seed=each.seed, variation_seed=each.variation_seed,
                    infotext=each.infotext, safety=self.look(assign.spec, index),
                )
            )  # fmt: skip
        return outputs

    def _pictures(self, spec: Any) -> list[Drawn]:
        if isinstance(spec, Upscale):
            return [self._upscaled(spec)]
        if isinstance(spec, Preprocess):
            return [self._mapped(each) for each in spec.maps]
        if isinstance(spec, Sheet):
            return [picture for cell in spec.cells if self.lacks(cell) is None for picture in self._pictures(cell)]
        if isinstance(spec, Ultimate):
            return [self._tiled(spec, index) for index in range(spec.results)]
        assert isinstance(spec, Txt2Img | Img2Img), f"the painter needs an entry in `answers` for {spec.kind}"
        sampler = sampler_and_schedule(spec.sampler, spec.schedule)
        return [self._picture(spec, index, sampler) for index in range(spec.count)]

    def _missing(self, spec: Any) -> list[m.Missing]:
        kinds = [self.lacks(cell) for cell in spec.cells] if isinstance(spec, Sheet) else []
        return [m.Missing(index=index, kind=kind) for index, kind in enumerate(kinds) if kind is not None]

    def _picture(self, spec: Txt2Img | Img2Img, index: int, sampler: SamplerChoice) -> Drawn:
        seed, variations = spec.seed + index, spec.variations
        if variations:
            last = variations[-1]
            seed = spec.seed
            variations = (*variations[:-1], Variation(seed=last.seed + index, strength=last.strength))
        size = (spec.width, spec.height)
        init: str | None = spec.image.sha256[:10] if isinstance(spec, Img2Img) else None
        if isinstance(spec, Txt2Img) and spec.hires is not None:
            hires = spec.hires
            size = hires_target(*size, hires.scale, hires.resize_width, hires.resize_height).final
            if isinstance(hires.source, StoredSource):
                init = hires.source.image.sha256[:10]
        digest = next((f.sha256 for f in self.facts if f.kind == "checkpoint" and f.name == spec.checkpoint), None)
        found = DrawnWith(sampler=sampler, model_name=spec.checkpoint, model_hash=digest, init_image_hash=init)
        fields = picture_fields(spec, seed, variations, found) | {"Version": "Pincel stage"}
        own = spec.texts[index] if spec.texts else spec
        text = build_infotext(own.prompt, own.negative_prompt, fields)
        last_seed = variations[-1].seed if variations else None
        return Drawn(_png(size, f"{seed}.{last_seed}", "parameters", text), *size, seed, text, variation_seed=last_seed)

    def _tiled(self, spec: Ultimate, index: int) -> Drawn:
        drawing = spec.drawing
        found = DrawnWith(
            sampler=sampler_and_schedule(drawing.sampler, drawing.schedule),
            model_name=drawing.checkpoint,
            init_image_hash=drawing.image.sha256[:10],
        )
        fields = picture_fields(drawing, drawing.seed, drawing.variations, found) | ultimate_fields(spec)
        text = build_infotext(drawing.prompt, drawing.negative_prompt, fields)
        size = (spec.width, spec.height)
        return Drawn(_png(size, f"tiled {drawing.seed} {index}", "parameters", text), *size, drawing.seed, text)

    def _mapped(self, spec: Preprocess) -> Drawn:
        with Image.open(io.BytesIO(self.input(spec.image))) as source:
            size = (spec.width, spec.height) if spec.fit else source.size
        text = build_infotext("", "", map_fields(spec))
        return Drawn(_png(size, spec.preprocessor, "parameters", "", text), *size, spec.seed, text)

    def _upscaled(self, spec: Upscale) -> Drawn:
        with Image.open(io.BytesIO(self.input(spec.image))) as source:
            size = (int(source.width * spec.scale), int(source.height * spec.scale))
            text: str = source.info.get("parameters", "")
        if spec.width and spec.height:
            size = (spec.width, spec.height)
        extras = build_infotext("", "", extras_fields(spec))
        return Drawn(_png(size, "extras", "parameters", text, extras), *size, 0, text)


def _png(size: tuple[int, int], colour_of: str, key: str, text: str, extras: str = "") -> bytes:
    colour = hashlib.sha256(colour_of.encode()).digest()
    info = PngImagePlugin.PngInfo()
    info.add_itxt(key, text)
    if extras:
        info.add_itxt("extras", extras)
    out = io.BytesIO()
    Image.new("RGB", size, (colour[0], colour[1], colour[2])).save(out, "PNG", pnginfo=info, compress_level=1)
    return out.getvalue()
