"""From a spec's control units to what a pass needs of them: models borrowed, pictures read, misfits refused."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from gpu_worker.engine.checkpoints.cache import ModelCache
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.control.network import check_fit, load_control
from gpu_worker.engine.control.preprocessors.book import Preprocessors
from gpu_worker.engine.control.units import OpenedUnit
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.hooks import Hooks, Watch
from gpu_worker.engine.images.files import open_mask, open_picture
from gpu_worker.engine.state import ModelState, ModelStates
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.specs import ControlUnit, Drawing, Img2Img, Txt2Img

__all__ = ["UnitOpener"]

_OF_CHECKPOINT = frozenset({"control_difference", "control_lora"})


@dataclass(frozen=True)
class UnitOpener:
    cache: ModelCache
    states: ModelStates
    preprocessors: Preprocessors

    def opened(
        self,
        spec: Drawing,
        files: Sequence[ModelFile],
        model: tuple[ModelFile, Checkpoint],
        borrowed: contextlib.ExitStack,
        hooks: Hooks,
        watch: Watch,
        *,
        second: bool,
    ) -> tuple[OpenedUnit, ...]:
        """Of one pass; those of weight 0 are as good as not there. Raises EngineError and DrawingCancelled."""
        found: list[OpenedUnit] = []
        for unit, file in zip(spec.control, files, strict=True):
            if unit.image is None and not isinstance(spec, Img2Img):
                raise EngineError("bad_input", f"{unit.model}: no image", {"reason": "control_image"})
            if unit.weight > 0 and _leads(unit, spec, second=second):
                self.preprocessors.check(unit.preprocessor)
                opened = self._opened(unit, file, model, borrowed, hooks, watch, second=second)
                prepare = functools.partial(self.preprocessors.preprocess, seed=_lots(spec))
                found.append(dataclasses.replace(opened, preprocess=prepare))
        return tuple(found)

    def _opened(
        self,
        unit: ControlUnit,
        file: ModelFile,
        model: tuple[ModelFile, Checkpoint],
        borrowed: contextlib.ExitStack,
        hooks: Hooks,
        watch: Watch,
        *,
        second: bool,
    ) -> OpenedUnit:
        watch.report("loading", 0, 1)
        watch.check()
        checkpoint_file, checkpoint = model
        differs = file.fact.variant in _OF_CHECKPOINT
        if differs:
            # Differences are to the checkpoint's own weights, not to what LoRAs made of them.
            self.states.enter(ModelState(checkpoint))
        name = file.fact.name
        control = borrowed.enter_context(
            self.cache.borrow_control(
                file,
                checkpoint_file if differs else None,
                lambda: load_control(file.weights, name, checkpoint, checkpoint.device),
                visits=unit.low_memory,
            )
        )
        check_fit(control, checkpoint)
        picture = open_picture(hooks.open_image(unit.image), unit.image) if unit.image else None
        mask = open_mask(hooks.open_image(unit.mask), unit.mask) if unit.mask else None
        opened = OpenedUnit(unit, control, picture, mask, second)
        if control.loaded.kind == "union":
            opened.type_index()
        return opened


def _lots(spec: Drawing) -> int:
    """What preprocessors draw lots by, as A1111 does."""
    return spec.seed + (spec.variations[0].seed if spec.variations else 0)


def _leads(unit: ControlUnit, spec: Drawing, *, second: bool) -> bool:
    if not isinstance(spec, Txt2Img) or spec.hires is None:
        return True
    return unit.hires in ("Both", "High res only" if second else "Low res only")
