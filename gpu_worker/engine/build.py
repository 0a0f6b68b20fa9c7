"""From an order to a task: models borrowed, networks read, prompts encoded, pictures opened."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from gpu_worker.engine.adapters.embeddings import Embedding, EmbeddingBook
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.books import NetworkBook
from gpu_worker.engine.calls import Call, Picture, Task
from gpu_worker.engine.checkpoints.cache import ModelCache
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.conditioning.encode import Reading
from gpu_worker.engine.conditioning.guide import Guide, ImageShare, PartNetworks
from gpu_worker.engine.conditioning.prompts import Conditioner, Steps
from gpu_worker.engine.control.opening import UnitOpener
from gpu_worker.engine.control.units import OpenedUnit
from gpu_worker.engine.details.detectors import Detectors
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.hooks import Hooks, Watch
from gpu_worker.engine.image_prompts.attention import AppliedImages
from gpu_worker.engine.image_prompts.book import ImagePromptBook
from gpu_worker.engine.images.files import open_mask, open_picture
from gpu_worker.engine.images.geometry import fit
from gpu_worker.engine.order import Finder, Networks, Order, PassOrder
from gpu_worker.engine.sampling.noise import image_seeds
from gpu_worker.engine.sampling.plan import SamplerOptions, SamplingPlan
from gpu_worker.engine.state import ModelState
from gpu_worker.engine.tasks.canvas import canvas_of
from gpu_worker.engine.tasks.details import detail_spec, detailed, texts_of
from gpu_worker.engine.tasks.finding import found_mask
from gpu_worker.engine.tasks.hires import check_hires
from gpu_worker.engine.tasks.img2img import img2img
from gpu_worker.engine.tasks.model_inputs import conditioned
from gpu_worker.engine.tasks.plan import DetailPlan, DrawPlan, Pass
from gpu_worker.engine.tasks.txt2img import txt2img
from gpu_worker.engine.tasks.ultimate.pieces import Pieces
from gpu_worker.engine.tasks.ultimate.task import enlarged, ultimate
from gpu_worker.engine.tasks.ultimate.watching import TileWatch
from gpu_worker.engine.upscale.upscalers import Upscalers
from gpu_worker.language.models import ModelFile
from gpu_worker.language.names import is_second_order
from gpu_worker.language.passes import hires_target
from gpu_worker.protocol.specs import Hires, Img2Img, StoredSource, Txt2Img, Ultimate

__all__ = ["Builder", "Built", "drawn_size"]

SOURCE_DEPTH_LIMIT = 8
"""How many redrawn sources may lie behind one another."""

Size = tuple[int, int]


@dataclass
class Built:
    """A task that is ready to run, and what its infotext needs."""

    task: Task[list[Picture]]
    source_size: Size | None = None
    """Of a stored source picture, in pixels."""
    embeddings: dict[str, str] = field(default_factory=dict)
    """The textual inversions that its prompts use: the short hash of each by its name, in order."""

    def uses(self, embedding: Embedding) -> None:
        self.embeddings.setdefault(embedding.name, embedding.digest)


@dataclass(frozen=True)
class Builder:
    finder: Finder
    cache: ModelCache
    conditioner: Conditioner
    networks: NetworkBook
    embeddings: EmbeddingBook
    upscalers: Upscalers
    images: ImagePromptBook
    control: UnitOpener
    detectors: Detectors

    def build(self, order: Order, hooks: Hooks, watch: Watch, borrowed: contextlib.ExitStack) -> Built:
        """`borrowed` takes back the checkpoints. Raises EngineError and DrawingCancelled."""
        built = Built(iter(()))  # pyright: ignore[reportArgumentType] (replaced below)
        if isinstance(order.spec, Img2Img):
            built.task = self._img2img(order, order.spec, hooks, _Making(hooks, watch, borrowed, built))
        else:
            assert isinstance(order.spec, Txt2Img), "no other drawing exists"
            built.task = self._txt2img(order, order.spec, hooks, _Making(hooks, watch, borrowed, built), depth=0)
        return built

    def build_ultimate(
        self, order: Order, spec: Ultimate, hooks: Hooks, watch: TileWatch, borrowed: contextlib.ExitStack
    ) -> Built:
        """The order is that of one tile. Errors as in `build`."""
        built = Built(iter(()))  # pyright: ignore[reportArgumentType] (replaced below)
        drawing = spec.drawing
        if spec.upscaler not in self.upscalers.names():
            raise EngineError("bad_input", f"no upscaler {spec.upscaler}", {"upscaler": spec.upscaler})
        picture = open_picture(hooks.open_image(drawing.image), drawing.image)
        # Enlarged before the checkpoint is loaded: the card need not hold both.
        watch.report("upscaling", 0, 1)
        start = enlarged(
            picture,
            (spec.width, spec.height),
            spec.upscaler,
            lambda seen, factor: self.upscalers.scaled(
                seen,
                factor,
                spec.upscaler,
                check=watch.check,
                report=lambda step, of: watch.report("upscaling", step, of),
            ),
        )
        first = self._pass(
            order, order.first, (drawing.width, drawing.height), None, _Making(hooks, watch, borrowed, built)
        )
        plan = DrawPlan(drawing, image_seeds(drawing), first)
        built.task = ultimate(plan, spec, start, watch, Pieces.of(hooks, start))
        return built

    def _img2img(self, order: Order, spec: Img2Img, hooks: Hooks, making: _Making) -> Task[list[Picture]]:
        picture = open_picture(hooks.open_image(spec.image), spec.image)
        details = self._details(spec, making)
        if spec.details_only:
            return detailed([picture] * spec.count, details, image_seeds(spec))
        if spec.mask is not None and spec.mask.prompt:
            return self._found(order, spec, picture, details, making)
        mask = open_mask(hooks.open_image(spec.mask.image), spec.mask.image) if spec.mask else None
        canvas = canvas_of(picture, mask, spec)
        first = self._pass(order, order.first, (spec.width, spec.height), None, making)
        return img2img(DrawPlan(spec, image_seeds(spec), first, details=details), spec, canvas)

    def _found(
        self, order: Order, spec: Img2Img, picture: Picture, details: tuple[DetailPlan, ...], making: _Making
    ) -> Task[list[Picture]]:
        """What the mask's words name is looked for first."""
        assert spec.mask is not None, "asked before"
        size = (spec.width, spec.height)
        words = dataclasses.replace(order.first, prompt=spec.mask.prompt, negative_prompt="", parts=())
        state = ModelState(self._borrow(words, making), self._applied(words.networks), spec.tiling)
        guide = self._guide(order, words, state, size, None, making)
        first = self._pass(order, order.first, size, None, making)
        return _in_found(DrawPlan(spec, image_seeds(spec), first, details=details), spec, picture, guide)

    def _txt2img(self, order: Order, spec: Txt2Img, hooks: Hooks, making: _Making, depth: int) -> Task[list[Picture]]:
        hires = spec.hires
        details = self._details(spec, making)
        if hires is None:
            first = self._pass(order, order.first, (spec.width, spec.height), None, making)
            return txt2img(DrawPlan(spec, image_seeds(spec), first, details=details), None)
        source, behind = self._source(hires, hooks, depth)
        size = drawn_size(behind) if behind else (source.shape[1], source.shape[0]) if source is not None else None
        start = size or (spec.width, spec.height)
        check_hires(hires, *start, self.upscalers.names())
        assert order.second is not None, "a hires fix has a second pass"
        target = hires_target(*start, hires.scale, hires.resize_width, hires.resize_height)
        second = self._pass(order, order.second, target.upscale_to, hires, making)
        # With a source there is no first pass to encode for.
        first = second if size else self._pass(order, order.first, (spec.width, spec.height), None, making)
        plan = DrawPlan(spec, image_seeds(spec), first, second, details)
        if behind is None:
            if depth == 0 and source is not None:
                making.built.source_size = size
            return txt2img(plan, hires, source)
        return _sourced(self._txt2img(self.finder.order(behind), behind, hooks, making, depth + 1), plan, hires)

    def _source(self, hires: Hires, hooks: Hooks, depth: int) -> tuple[Picture | None, Txt2Img | None]:
        """The picture that the second pass starts from, or the recipe to draw it again."""
        if hires.source is None:
            return None, None
        if isinstance(hires.source, StoredSource):
            return open_picture(hooks.open_image(hires.source.image), hires.source.image), None
        if depth >= SOURCE_DEPTH_LIMIT:
            raise EngineError("bad_input", "sources nested too deeply", {"reason": "source_depth"})
        return None, hires.source.spec.model_copy(update={"count": 1})

    def _details(self, spec: Txt2Img | Img2Img, making: _Making) -> tuple[DetailPlan, ...]:
        """Looked for and encoded before anything is drawn, so that what is missing is told at once."""
        plans: list[DetailPlan] = []
        for unit in spec.details:
            if unit.denoising_strength == 0:
                continue
            self.detectors.check(unit)
            texts = texts_of(spec, unit)
            passes = [
                None if words is None else self._detail_pass(detail_spec(spec, unit, *words), making) for words in texts
            ]
            own = detail_spec(spec, unit, spec.prompt, spec.negative_prompt)
            plans.append(DetailPlan(unit, own, tuple(passes)))
        return tuple(plans)

    def _detail_pass(self, spec: Img2Img, making: _Making) -> Pass:
        order = self.finder.order(spec)
        return self._pass(order, order.first, (spec.width, spec.height), None, making)

    def _pass(self, order: Order, wanted: PassOrder, size: Size, hires: Hires | None, making: _Making) -> Pass:
        """`hires` is set for the second pass of a hires fix, which alone a refiner joins where there is one."""
        spec = order.spec
        checkpoint = self._borrow(wanted, making)
        applied, shown = self._image_prompts(order, making)
        state = ModelState(checkpoint, self._applied(wanted.networks), spec.tiling, applied)
        control = self._control(order, wanted.model, checkpoint, hires, making)
        guide = self._guide(order, wanted, state, size, hires, making)
        guide = dataclasses.replace(guide, images=shown, control=control, regions=spec.regions)
        last = hires is not None or order.second is None
        if spec.refiner is not None and order.refiner is not None and last:
            # The pass decodes with its own VAE; a refiner's is not even loaded. Networks fit checkpoints of one family.
            vae = wanted.vae or wanted.model
            alike = order.refiner.fact.family == wanted.model.fact.family
            networks, parts = (wanted.networks, wanted.parts) if alike else ((), ())
            other = dataclasses.replace(wanted, model=order.refiner, vae=vae, networks=networks, parts=parts)
            refining = self._borrow(other, making)
            state = ModelState(refining, self._applied(networks), spec.tiling)
            refiner = dataclasses.replace(self._guide(order, other, state, size, hires, making), regions=spec.regions)
            if alike:
                control = self._control(order, other.model, refining, hires, making)
                refiner = dataclasses.replace(refiner, control=control)
            guide = dataclasses.replace(guide, refiner=(spec.refiner.switch_at, refiner))
        plan = SamplingPlan(
            wanted.sampler.sampler,
            wanted.sampler.schedule,
            guide.table,
            SamplerOptions.of(spec),
            sdxl=checkpoint.family in ("sdxl", "sdxl_refiner"),
            velocity=checkpoint.prediction == "v",
        )
        return Pass(plan, guide)

    def _borrow(self, wanted: PassOrder, making: _Making) -> Checkpoint:
        if not self.cache.holds(wanted.model, wanted.vae):
            making.watch.report("loading", 0, 1)
        checkpoint = making.borrowed.enter_context(self.cache.borrow(wanted.model, wanted.vae))
        making.watch.check()
        return checkpoint

    def _applied(self, networks: Networks) -> tuple[AppliedNetwork, ...]:
        return tuple(self.networks.applied(ref, file) for ref, file in networks)

    def _control(
        self, order: Order, model: ModelFile, checkpoint: Checkpoint, hires: Hires | None, making: _Making
    ) -> tuple[OpenedUnit, ...]:
        loaded = model, checkpoint
        return self.control.opened(
            order.spec, order.control, loaded, making.borrowed, making.hooks, making.watch, second=hires is not None
        )

    def _image_prompts(self, order: Order, making: _Making) -> tuple[AppliedImages | None, ImageShare | None]:
        wish = order.spec.image_prompts
        if wish is None or order.adapter is None:
            return None, None
        making.watch.report("encoding", 0, 1)
        adapter = self.images.adapter(order.adapter)
        pictures = [open_picture(making.hooks.open_image(each.image), each.image) for each in wish.pictures]
        tokens = self.images.tokens(adapter, pictures, making.watch.check)
        scales = tuple(each.weight for each in wish.pictures)
        return AppliedImages(adapter, scales), ImageShare(tokens, wish.start, wish.end)

    def _guide(
        self, order: Order, wanted: PassOrder, state: ModelState, size: Size, hires: Hires | None, making: _Making
    ) -> Guide:
        spec, checkpoint = order.spec, state.checkpoint
        making.watch.report("encoding", 0, 1)
        shelf = self.embeddings.shelf(checkpoint, order.embeddings, [file for _, file in wanted.every_network])
        states = tuple(dataclasses.replace(state, networks=self._applied(own)) for own in wanted.parts)
        steps = _steps(order, hires)
        positive = Reading(spec.clip_skip, spec.emphasis, shelf, check=making.watch.check)
        negative = dataclasses.replace(positive, negative=True)
        table = checkpoint.table
        if spec.downcast_alphas:
            table = table.downcast()
        if spec.zero_terminal_snr:
            table = table.zero_terminal_snr()
        return Guide(
            state=state,
            table=table,
            positive=self.conditioner.positive(state, wanted.prompt, steps, positive, making.built.uses, states),
            negative=self.conditioner.timeline(state, wanted.negative_prompt, steps, negative, making.built.uses),
            scale=spec.cfg_scale,
            width=size[0],
            height=size[1],
            image_scale=spec.image_cfg_scale if isinstance(spec, Img2Img) else 1.0,
            ngms=spec.ngms,
            parts=tuple(PartNetworks.of(own.networks, state.networks) for own in states),
        )


@dataclass(frozen=True)
class _Making:
    """What is handed along while one job is built."""

    hooks: Hooks
    watch: Watch
    borrowed: contextlib.ExitStack
    built: Built


def drawn_size(spec: Txt2Img) -> Size:
    """The size in pixels of what a recipe draws. A stored source's own size does not show in it."""
    hires = spec.hires
    if hires is None:
        return spec.width // 8 * 8, spec.height // 8 * 8
    behind = hires.source
    first = (spec.width, spec.height) if behind is None or isinstance(behind, StoredSource) else drawn_size(behind.spec)
    return hires_target(*first, hires.scale, hires.resize_width, hires.resize_height).final


def _in_found(plan: DrawPlan, spec: Img2Img, picture: Picture, guide: Guide) -> Generator[Call, Any, list[Picture]]:
    """The part that the guide's words name, drawn again."""
    height, width = spec.height // plan.factor, spec.width // plan.factor
    looking = yield from conditioned(guide, height, width)
    mask = yield from found_mask(fit(picture, spec.width, spec.height, "Just resize"), looking)
    return (yield from img2img(plan, spec, canvas_of(picture, mask, spec)))


def _sourced(behind: Task[list[Picture]], plan: DrawPlan, hires: Hires) -> Generator[Call, Any, list[Picture]]:
    """The second pass of a picture that is drawn again first."""
    pictures = yield from behind
    return (yield from txt2img(plan, hires, pictures[0]))


def _steps(order: Order, hires: Hires | None) -> Steps:
    """A1111 counts model calls; second-order samplers make two a step (behaviours §2.3)."""

    def calls(steps: int, wanted: PassOrder) -> int:
        return steps * 2 if is_second_order(wanted.sampler.sampler) else steps

    spec = order.spec
    first = calls(spec.steps, order.first)
    if hires is None or order.second is None:
        return Steps(first, old=spec.old_prompt_editing)
    return Steps(first, calls(hires.steps or spec.steps, order.second), spec.old_prompt_editing)
