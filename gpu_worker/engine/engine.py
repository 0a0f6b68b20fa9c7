"""The engine: takes a job's spec, returns finished pictures. One instance a process, used from one thread at a time."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import torch

from gpu_worker.engine.adapters.lora import AppliedLora, merged_loras
from gpu_worker.engine.adapters.lora_file import read_lora
from gpu_worker.engine.calls import Picture
from gpu_worker.engine.checkpoints.cache import CheckpointCache
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.checkpoints.hashes import HashBook
from gpu_worker.engine.conditioning.encode import encode_prompt
from gpu_worker.engine.denoise import Driver, Guidance
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.hooks import Hooks, Watch
from gpu_worker.engine.images.files import open_picture, png_bytes
from gpu_worker.engine.images.record import Record, picture_infotext
from gpu_worker.engine.memory import free, is_out_of_memory
from gpu_worker.engine.sampling.noise import image_seeds
from gpu_worker.engine.sampling.plan import SamplingPlan
from gpu_worker.engine.tasks.hires import check_hires
from gpu_worker.engine.tasks.txt2img import DrawPlan, txt2img
from gpu_worker.language.layouts import Reading
from gpu_worker.language.models import ModelFile, Stamp, demo_folder, scan_model_files
from gpu_worker.language.names import SamplerChoice, resolve_sampler
from gpu_worker.language.networks import LoraRef, NetworkTagError, lora_refs, parse_networks
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import JobSpec, StoredSource

__all__ = ["DrawingCancelled", "Drawn", "Engine", "EngineError", "Hooks"]

SOURCE_DEPTH_LIMIT = 8
"""How many redrawn sources may lie behind one another."""

UNSUPPORTED_NETWORKS = frozenset({"hypernet"})
"""Kinds that change the picture in A1111; tags of unknown kinds do nothing there and are left out here, too."""

TWO_MODELS_VRAM_MB = 10_000
"""From here on two checkpoints of 2 GB stay loaded."""


@dataclass(frozen=True)
class Drawn:
    """A finished picture. `variation_seed` is that of the last variation."""

    png: bytes
    width: int
    height: int
    seed: int
    variation_seed: int | None
    infotext: str


@dataclass(frozen=True)
class _Order:
    """A spec with everything that it names found."""

    spec: JobSpec
    sampler: SamplerChoice
    model: ModelFile
    loras: tuple[tuple[LoraRef, ModelFile], ...]
    prompt: str
    """Without network tags."""


class Engine:
    def __init__(self, *, models_dir: Path, demo_dir: Path, device: str | None = None) -> None:
        """`device` is torch's name; None takes CUDA where there is any. Nothing is loaded yet."""
        self._models_dir = models_dir
        self._demo_dir = demo_dir
        self._device = Device.choose(device)
        self._known: dict[Stamp, Reading] = {}
        self._hashes = HashBook(models_dir.parent / "hashes.json")
        self.device_name: str = "cpu"
        self.vram_mb: int = 0
        if self._device.is_cuda:
            facts = torch.cuda.get_device_properties(self._device.torch_device)
            self.device_name, self.vram_mb = str(facts.name), int(facts.total_memory) >> 20
        demo = demo_folder(demo_dir)
        roomy = not self._device.is_cuda or self.vram_mb >= TWO_MODELS_VRAM_MB
        self._cache = CheckpointCache(self._device, demo / "tokenizer" if demo else None, 2 if roomy else 1)
        self.loaded: str | None = None
        """Name of the checkpoint used last."""

    def facts(self) -> tuple[ModelFact, ...]:
        """Every model that is there now, with its hash where that is known already. Opens only files that changed."""
        return tuple(
            model.fact.model_copy(update={"sha256": self._hashes.known(model.weights)}) for model in self._scan()
        )

    def vram_free_mb(self) -> int | None:
        if not self._device.is_cuda:
            return None
        return int(torch.cuda.mem_get_info(self._device.torch_device)[0]) >> 20

    def prepare(self, checkpoint: str) -> None:
        """Loads a checkpoint, and starts to hash it, before a job asks for it. Raises EngineError as `draw` does."""
        model = self._checkpoint_file(checkpoint)
        self._hashes.start(model.weights)
        self._borrow(model)

    def draw(self, spec: JobSpec, hooks: Hooks) -> list[Drawn]:
        """`spec.count` pictures. Raises EngineError and DrawingCancelled; every model is restored either way.

        EngineError kinds: `missing_model` and `bad_model` name `checkpoint` or `lora`; `bad_input` names what cannot be
        drawn (`sampler`, `schedule`, `upscaler`, `lora`) or gives a `reason`; `oom` carries the size.
        """
        try:
            return self._draw(spec, hooks)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failure = EngineError("oom", str(error), {"width": spec.width, "height": spec.height, "count": spec.count})
        # Outside the handler, whose traceback holds the tensors of the failed attempt.
        self._cache.clear()
        self.loaded = None
        free(self._device.torch_device)
        raise failure

    def close(self) -> None:
        self._cache.clear()
        self._hashes.close()

    def _draw(self, spec: JobSpec, hooks: Hooks) -> list[Drawn]:
        order = self._order(spec)
        model_hash = self._hashes.start(order.model.weights)
        lora_hashes = [(ref.name, self._hashes.start(file.weights, data_only=True)) for ref, file in order.loras]
        watch = Watch(hooks)
        source = self._source(spec, hooks, depth=0)
        pictures = self._pictures(order, source, watch)
        watch.report("saving", 0, len(pictures))
        size = (source.shape[1], source.shape[0]) if source is not None else None
        record = Record(spec, order.sampler, model_hash.result(), _short(lora_hashes), size)
        drawn: list[Drawn] = []
        for picture, seed in zip(pictures, image_seeds(spec), strict=True):
            text = picture_infotext(record, seed)
            height, width, _ = picture.shape
            variation = seed.variations[-1].seed if seed.variations else None
            drawn.append(Drawn(png_bytes(picture, text), width, height, seed.seed, variation, text))
        return drawn

    def _source(self, spec: JobSpec, hooks: Hooks, depth: int) -> Picture | None:
        """The picture that the second pass starts from: opened, or drawn again with all that lies behind it."""
        source = spec.hires.source if spec.hires else None
        if source is None:
            return None
        if isinstance(source, StoredSource):
            return open_picture(hooks.open_image(source.image), source.image)
        if depth >= SOURCE_DEPTH_LIMIT:
            raise EngineError("bad_input", "sources nested too deeply", {"reason": "source_depth"})
        behind = source.spec.model_copy(update={"count": 1})
        return self._pictures(self._order(behind), self._source(behind, hooks, depth + 1), Watch(hooks))[0]

    def _pictures(self, order: _Order, source: Picture | None, watch: Watch) -> list[Picture]:
        spec = order.spec
        if spec.hires is not None:
            first = (spec.width, spec.height) if source is None else (source.shape[1], source.shape[0])
            check_hires(spec.hires, *first)
        if not self._cache.holds(order.model):
            watch.report("loading", 0, 1)
        checkpoint = self._borrow(order.model)
        watch.check()
        loras = [AppliedLora(ref, read_lora(ref.name, file.path)) for ref, file in order.loras]
        with merged_loras(checkpoint, loras), torch.inference_mode():
            watch.report("encoding", 0, 1)
            guidance = Guidance(
                encode_prompt(checkpoint, order.prompt, spec.clip_skip),
                encode_prompt(checkpoint, spec.negative_prompt, spec.clip_skip),
                spec.cfg_scale,
            )
            return Driver(checkpoint, guidance, watch).run(txt2img(_plan(order, checkpoint, source)))

    def _order(self, spec: JobSpec) -> _Order:
        sampler = resolve_sampler(spec.sampler, spec.schedule)
        if sampler is None or not sampler.draws:
            detail = {"sampler": spec.sampler, "schedule": spec.schedule}
            raise EngineError("bad_input", f"cannot draw with {spec.sampler}, {spec.schedule}", detail)
        prompt, tags = parse_networks(spec.prompt)
        foreign = next((tag for tag in tags if tag.kind.lower() in UNSUPPORTED_NETWORKS), None)
        if foreign is not None:
            detail = {"network": f"{foreign.kind}:{foreign.items[0]}", "reason": "network_kind"}
            raise EngineError("bad_input", f"no networks of kind {foreign.kind}", detail)
        try:
            refs = lora_refs(tags)
        except NetworkTagError as error:
            detail = {"lora": error.name, "reason": "lora_tag"}
            raise EngineError("bad_input", f"unreadable tag of {error.name}", detail) from error
        loras = tuple((ref, self._lora_file(ref.name)) for ref in refs)
        return _Order(spec, sampler, self._checkpoint_file(spec.checkpoint), loras, prompt)

    def _checkpoint_file(self, name: str) -> ModelFile:
        return self._find("checkpoint", name)

    def _lora_file(self, name: str) -> ModelFile:
        return self._find("lora", name)

    def _find(self, kind: str, name: str) -> ModelFile:
        found = next((m for m in self._scan() if m.fact.kind == kind and m.fact.name == name), None)
        if found is None:
            raise EngineError("missing_model", f"no {kind} {name}", {kind: name})
        if found.fact.problem is not None:
            detail = {kind: name, "problem": found.fact.problem}
            raise EngineError("bad_model", f"{found.path}: {found.fact.problem}", detail)
        return found

    def _borrow(self, model: ModelFile) -> Checkpoint:
        checkpoint = self._cache.borrow(model)
        self.loaded = checkpoint.name
        return checkpoint

    def _scan(self) -> tuple[ModelFile, ...]:
        return scan_model_files(self._models_dir, self._demo_dir, self._known)


def _plan(order: _Order, checkpoint: Checkpoint, source: Picture | None) -> DrawPlan:
    sampling = SamplingPlan(order.sampler.sampler, order.sampler.schedule, checkpoint.table)
    return DrawPlan(
        spec=order.spec,
        sampling=sampling,
        seeds=image_seeds(order.spec),
        channels=checkpoint.latent_channels,
        factor=checkpoint.factor,
        device=checkpoint.device.torch_device,
        source=source,
    )


def _short(hashes: list[tuple[str, Future[str | None]]]) -> tuple[tuple[str, str], ...]:
    """A1111's short LoRA hashes, each LoRA once."""
    found = {name: digest.result() for name, digest in hashes}
    return tuple((name, digest[:12]) for name, digest in found.items() if digest)
