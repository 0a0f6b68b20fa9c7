"""The engine: takes jobs' specs, returns finished pictures. One instance a process, used from one thread at a time."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import torch

from gpu_worker.engine.adapters.embeddings import EmbeddingBook
from gpu_worker.engine.addons import engine_parts
from gpu_worker.engine.apart import Parts
from gpu_worker.engine.books import NetworkBook
from gpu_worker.engine.build import Builder, Built
from gpu_worker.engine.calls import DetectCall, Picture, RestoreCall, UpscaleCall
from gpu_worker.engine.checkpoints.cache import ModelCache
from gpu_worker.engine.checkpoints.hashes import HashBook
from gpu_worker.engine.checkpoints.known import known_fact
from gpu_worker.engine.checkpoints.vae_choice import choose_vae
from gpu_worker.engine.conditioning.prompts import Conditioner
from gpu_worker.engine.control.mapping import made_map
from gpu_worker.engine.control.opening import UnitOpener
from gpu_worker.engine.control.preprocessors.book import Preprocessors
from gpu_worker.engine.denoise import Driver, Outcome, Tools
from gpu_worker.engine.details.detectors import Detectors
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.faces.restore import FaceRestorer
from gpu_worker.engine.hooks import Hooks, Watch
from gpu_worker.engine.image_prompts.book import ImagePromptBook
from gpu_worker.engine.images.files import open_mask, open_picture, png_bytes, read_infotext
from gpu_worker.engine.images.masks import Mask8
from gpu_worker.engine.images.record import map_infotext, picture_infotext, upscale_infotext
from gpu_worker.engine.memory import free, is_out_of_memory
from gpu_worker.engine.options import EngineOptions
from gpu_worker.engine.order import Finder, Order
from gpu_worker.engine.records import Hashes
from gpu_worker.engine.sampling.noise import image_seeds
from gpu_worker.engine.sheets import draw_sheet
from gpu_worker.engine.state import ModelStates
from gpu_worker.engine.taesd import PreviewDecoders
from gpu_worker.engine.tasks.ultimate.watching import TileWatch
from gpu_worker.engine.upscale.extras import run_extras
from gpu_worker.engine.upscale.upscalers import Upscalers
from gpu_worker.language.model_book import ModelBook
from gpu_worker.language.models import ModelFile, demo_folder, offered
from gpu_worker.language.pictures import picture_spec
from gpu_worker.language.training.outputs import TRAININGS
from gpu_worker.protocol.messages import Missing, ModelFact, ModelKind
from gpu_worker.protocol.specs import Drawing, DrawTask, Img2Img, Preprocess, Sheet, Txt2Img, Ultimate, Upscale

__all__ = ["DrawingCancelled", "Drawn", "Engine", "EngineError", "Hooks"]


@dataclass(frozen=True)
class Drawn:
    """A finished picture. `variation_seed` is that of the last variation."""

    png: bytes
    width: int
    height: int
    seed: int
    variation_seed: int | None
    infotext: str


class Engine:
    def __init__(
        self,
        *,
        models_dir: Path,
        demo_dir: Path,
        options: EngineOptions | None = None,
        extra_folders: Sequence[Path] = (),
        data_dir: Path | None = None,
    ) -> None:
        """Nothing is loaded yet. `extra_folders` are the operator's, which are only read; `data_dir` is for notes, and
        holds what trainings saved: by default where `models_dir` lies."""
        options = options or EngineOptions()
        data = data_dir or models_dir.parent
        self._models = ModelBook(
            models_dir,
            demo_dir,
            extra_folders=extra_folders,
            notes=data / "readings.json",
            trainings=data / TRAININGS,
        )
        self._device = Device.choose(options)
        self._hashes = HashBook(data / "hashes.json")
        self._told: tuple[tuple[ModelFile, ...], int, tuple[ModelFact, ...]] = ((), -1, ())
        self.device = self._device.torch_device
        self.device_name: str = "cpu"
        self.vram_mb: int = 0
        self.card_uuid: str | None = None
        """As the driver's own tools name the card."""
        if self._device.is_cuda:
            facts = torch.cuda.get_device_properties(self._device.torch_device)
            self.device_name, self.vram_mb = str(facts.name), int(facts.total_memory) >> 20
            uuid = getattr(facts, "uuid", None)
            self.card_uuid = f"GPU-{uuid}" if uuid is not None else None
        demo = demo_folder(demo_dir)
        self.vocabulary = demo / "tokenizer" if demo else None
        """CLIP's tokenizer, which single files lack."""
        self._cache = ModelCache(self._device, options, self.vocabulary, self._hashes)
        self._states = ModelStates()
        self._upscalers = Upscalers(self._scan, self._device, ldsr_steps=options.ldsr_steps)
        self._faces = FaceRestorer(self._scan, self._device)
        self._detectors = Detectors(self._scan, self._device, self._faces)
        self._decoders = PreviewDecoders(self._scan)
        self._finder = Finder(self._scan)
        self._image_prompts = ImagePromptBook(self._scan, self._device)
        self._preprocessors = Preprocessors(self._scan, self._device)
        self.builder = Builder(
            self._finder,
            self._cache,
            Conditioner(self._states),
            NetworkBook(),
            EmbeddingBook(),
            self._upscalers,
            self._image_prompts,
            UnitOpener(self._cache, self._states, self._preprocessors),
            self._detectors,
        )
        self.loaded: str | None = None
        """Name of the checkpoint used last."""

    def facts(self) -> tuple[ModelFact, ...]:
        """Every model that is offered now, with its hash where that is known already. Opens only files that changed."""
        models, hashes = self._scan(), self._hashes.version
        if models is not self._told[0] or hashes != self._told[1]:
            told = [known_fact(model, self._hashes) for model in offered(models)]
            self._told = (models, hashes, (*told, *engine_parts().facts()))
        return self._told[2]

    def vram_free_mb(self) -> int | None:
        if not self._device.is_cuda:
            return None
        return int(torch.cuda.mem_get_info(self._device.torch_device)[0]) >> 20

    def prepare(self, checkpoint: str) -> None:
        """Loads a checkpoint, and starts to hash it, before a job asks for it. Raises EngineError as `draw` does."""
        model = self._finder.find("checkpoint", checkpoint)
        self._hashes.start(model.weights)
        with self._cache.borrow(model):
            self.loaded = model.fact.name

    def model_file(self, kind: ModelKind, name: str) -> ModelFile:
        """By its name in `facts`. Raises EngineError `missing_model`, or `bad_model` for one that cannot be used."""
        return self._finder.find(kind, name)

    def vae_for(self, wish: str, checkpoint: ModelFile) -> ModelFile | None:
        """As a drawing chooses it (`choose_vae`). Raises EngineError `missing_model` and `bad_model`."""
        return choose_vae(wish, checkpoint, [model for model in self._scan() if model.fact.kind == "vae"])

    def sha256_of(self, file: Path) -> Future[str | None]:
        """Of the whole file; None where it cannot be read."""
        return self._hashes.start(file)

    def draw(self, spec: DrawTask, hooks: Hooks) -> list[Drawn]:
        """The spec's pictures. Raises EngineError and DrawingCancelled; every model is restored either way.

        EngineError kinds: `missing_model` and `bad_model` name the model by its kind (`checkpoint`, `vae`, `lora`,
        `upscaler`, `face`); `bad_input` names what cannot be drawn (`sampler`, `schedule`, `upscaler`, `lora`) or gives
        a `reason`; `oom` carries the size.
        """
        if isinstance(spec, Txt2Img | Img2Img) and spec.texts:
            return self._draw_apart(spec, hooks)
        return self.draw_all([(spec, hooks)])[0].get()

    def draw_sheet(self, sheet: Sheet, hooks: Hooks) -> list[Drawn | Missing]:
        """What came of each cell, in their order; one that cannot be drawn leaves the others be. Raises as `draw`,
        where none can be drawn what is wrong with the first."""
        return draw_sheet(sheet, hooks, self.draw_all)

    def draw_all(self, jobs: Sequence[tuple[DrawTask, Hooks]]) -> list[Outcome[list[Drawn]]]:
        """Several jobs side by side; those of one model state share its batches. What fails in one is its own."""
        outcomes = self._draw_all(jobs)
        full = [index for index, outcome in enumerate(outcomes) if outcome.error and is_out_of_memory(outcome.error)]
        for index in full:
            spec = jobs[index][0]
            # The traceback of the failed attempt holds its tensors, so the error itself is let go.
            outcomes[index] = Outcome(error=EngineError("oom", str(outcomes[index].error), _size(spec)))
        if full:
            self.clear()
        return outcomes

    def clear(self) -> None:
        """Gives back the memory of all models, the card's and the machine's; the next job loads its own again."""
        self._cache.clear()
        self.builder.conditioner.clear()
        self._upscalers.clear()
        self._image_prompts.clear()
        self._preprocessors.clear()
        self._faces.clear()
        self._detectors.clear()
        self.loaded = None
        free(self._device.torch_device)

    def _draw_apart(self, spec: Txt2Img | Img2Img, hooks: Hooks) -> list[Drawn]:
        """Each picture by its own texts, so by its own LoRAs, too (in A1111 the first one's count for all)."""
        parts = Parts(hooks, spec.count)
        jobs = [(picture_spec(spec, index), parts.hooks_of(index)) for index in range(spec.count)]
        at_once = spec.batch_size or len(jobs)
        drawn: list[Drawn] = []
        for start in range(0, len(jobs), at_once):
            for outcome in self.draw_all(jobs[start : start + at_once]):
                drawn += outcome.get()
        return drawn

    def close(self) -> None:
        self._cache.clear()
        self._hashes.close()

    def _draw_all(self, jobs: Sequence[tuple[DrawTask, Hooks]]) -> list[Outcome[list[Drawn]]]:
        outcomes: list[Outcome[list[Drawn]]] = [Outcome() for _ in jobs]
        driver = Driver(self._states, Tools(self._enlarge, self._restore, self._detect), self._device, self._decoders)
        ready: list[tuple[int, _Job]] = []
        with contextlib.ExitStack() as borrowed, torch.no_grad(), self._states.restored():
            for index, (spec, hooks) in enumerate(jobs):
                try:
                    if isinstance(spec, Upscale):
                        outcomes[index].value = [self._upscaled(spec, hooks)]
                    elif isinstance(spec, Preprocess):
                        outcomes[index].value = self._mapped(spec, hooks)
                    elif isinstance(spec, Ultimate):
                        ready.append((index, self._ready_in_tiles(spec, hooks, borrowed)))
                    else:
                        ready.append((index, self._ready(spec, hooks, borrowed)))
                except Exception as error:
                    outcomes[index].error = error
            ends = driver.run_all([(job.built.task, job.watch) for _, job in ready])
            for (index, job), end in zip(ready, ends, strict=True):
                try:
                    outcomes[index].value = self._saved(job, end.get())
                except Exception as error:
                    outcomes[index].error = error
        return outcomes

    def _ready(self, spec: Drawing, hooks: Hooks, borrowed: contextlib.ExitStack) -> _Job:
        order = self._finder.order(spec)
        hashes = Hashes.started(self._hashes, order)
        watch = Watch(hooks)
        built = self.builder.build(order, hooks, watch, borrowed)
        self.loaded = order.first.model.fact.name
        return _Job(order, built, watch, hashes)

    def _ready_in_tiles(self, spec: Ultimate, hooks: Hooks, borrowed: contextlib.ExitStack) -> _Job:
        order = self._finder.order(spec.drawing)
        hashes = Hashes.started(self._hashes, order)
        watch = TileWatch(hooks)
        built = self.builder.build_ultimate(order, spec, hooks, watch, borrowed)
        self.loaded = order.first.model.fact.name
        return _Job(order, built, watch, hashes, spec)

    def _saved(self, job: _Job, pictures: list[Picture]) -> list[Drawn]:
        job.watch.report("saving", 0, len(pictures))
        record = job.hashes.record(job.order, job.built)
        seeds = image_seeds(job.order.spec)
        if job.tiled is not None:  # the pictures differ by what was drawn over their seams
            record, seeds = dataclasses.replace(record, tiled=job.tiled), seeds * len(pictures)
        drawn: list[Drawn] = []
        for picture, seed in zip(pictures, seeds, strict=True):
            text = picture_infotext(record, seed)
            height, width, _ = picture.shape
            variation = seed.variations[-1].seed if seed.variations else None
            drawn.append(Drawn(png_bytes(picture, text), width, height, seed.seed, variation, text))
        return drawn

    def _upscaled(self, spec: Upscale, hooks: Hooks) -> Drawn:
        watch = Watch(hooks)
        data = hooks.open_image(spec.image)
        source = open_picture(data, spec.image)
        watch.report("upscaling", 0, 1)
        picture = run_extras(
            source,
            spec,
            self._upscalers,
            self._faces,
            check=watch.check,
            report=lambda step, of: watch.report("upscaling", step, of),
        )
        done, source_text = upscale_infotext(spec), read_infotext(data) or ""
        png = png_bytes(picture, source_text, extras=done)
        return Drawn(png, picture.shape[1], picture.shape[0], 0, None, source_text or done)

    def _mapped(self, spec: Preprocess, hooks: Hooks) -> list[Drawn]:
        for each in spec.maps:
            self._preprocessors.check(each.preprocessor)
        return [self._map(each, hooks) for each in spec.maps]

    def _map(self, spec: Preprocess, hooks: Hooks) -> Drawn:
        watch = Watch(hooks)
        source = open_picture(hooks.open_image(spec.image), spec.image)
        mask = open_mask(hooks.open_image(spec.mask), spec.mask) if spec.mask else None
        watch.report("looking", 0, 0)
        watch.check()
        picture = made_map(spec, source, mask, self._preprocessors)
        done = map_infotext(spec)
        return Drawn(png_bytes(picture, "", extras=done), picture.shape[1], picture.shape[0], spec.seed, None, done)

    def _enlarge(self, call: UpscaleCall, watch: Watch) -> list[Picture]:
        return self._upscalers.enlarge(
            call.pictures,
            call.width,
            call.height,
            call.upscaler,
            check=watch.check,
            report=lambda step, of: watch.report("upscaling", step, of),
        )

    def _restore(self, call: RestoreCall, watch: Watch) -> list[Picture]:
        return self._faces.restore(call.pictures, call.wish, watch.check)

    def _detect(self, call: DetectCall, watch: Watch) -> list[Mask8]:
        return self._detectors.masks(call.picture, call.unit, watch.check)

    def _scan(self) -> tuple[ModelFile, ...]:
        return self._models.models()


@dataclass(frozen=True)
class _Job:
    order: Order
    built: Built
    watch: Watch
    hashes: Hashes
    tiled: Ultimate | None = None
    """What is drawn tile by tile; the order is that of one of them."""


def _size(spec: DrawTask) -> dict[str, int | str]:
    if isinstance(spec, Ultimate):
        width, height = max((tile.process for tile in spec.tiles()), default=(0, 0), key=lambda size: size[0] * size[1])
        return {"width": width, "height": height, "count": 1, "reason": "tile"}
    if isinstance(spec, Preprocess):
        return {"reason": "preprocessor"}
    if isinstance(spec, Upscale):
        return {"width": spec.width, "height": spec.height, "count": 1}
    return {"width": spec.width, "height": spec.height, "count": spec.count}
