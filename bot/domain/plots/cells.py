"""Whether a cell can be drawn: what no axis can know alone, because two of them meet in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.domain.control.models import require_units
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.models import check_loras, find_checkpoint, find_partner, find_vae
from bot.domain.second_pass import check_target
from bot.domain.sizes import check_size
from bot.domain.text import is_blank
from bot.errors import UserFacingError
from gpu_worker.language.networks import NetworkTagError, lora_refs, parse_networks
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import JobSpec, Txt2Img

__all__ = ["CellChecks"]


class CellChecks:
    """Remembers what it has found good, since the cells of a plot differ in little."""

    def __init__(self, facts: Sequence[ModelFact], limits: Limits) -> None:
        self._facts = facts
        self._limits = limits
        self._good: set[object] = set()

    def check(self, spec: JobSpec) -> None:
        """Raises UserFacingError: `prompt_empty`, `lora_weight`, those of `check_loras`, `find_vae`, `find_partner`,
        `require_units`, `check_size` and `check_target`; pydantic's ValidationError would be a fault of ours."""
        self._once(("texts", spec.checkpoint, *_texts(spec)), lambda: self._texts(spec))
        self._once(("models", *_models(spec)), lambda: self._models(spec))
        self._once(("control", spec.checkpoint, spec.control), lambda: require_units(spec, self._facts))
        hires = spec.hires if isinstance(spec, Txt2Img) else None
        self._once(("size", spec.kind, spec.width, spec.height, hires), lambda: self._sizes(spec))
        type(spec).model_validate(spec.model_dump())

    def _once(self, key: object, check: Callable[[], None]) -> None:
        if key not in self._good:
            check()
            self._good.add(key)

    def _texts(self, spec: JobSpec) -> None:
        texts = _texts(spec)
        if is_blank(texts[0]):
            raise UserFacingError("prompt_empty")
        if max(map(len, texts)) > self._limits.max_expanded_chars:
            raise UserFacingError("prompt_expanded_long", limit=self._limits.max_expanded_chars)
        checkpoint = find_checkpoint(spec.checkpoint, self._facts)
        try:
            names = [ref.name for text in texts for ref in lora_refs(parse_networks(text)[1])]
        except NetworkTagError as error:
            raise UserFacingError("lora_weight", name=spoken(error.name)) from error
        check_loras(names, checkpoint, self._facts)

    def _models(self, spec: JobSpec) -> None:
        checkpoint = find_checkpoint(spec.checkpoint, self._facts)
        find_vae(spec.vae, checkpoint, self._facts)
        for partner in _models(spec)[2:]:
            if partner is not None:
                find_partner(partner, checkpoint, self._facts)

    def _sizes(self, spec: JobSpec) -> None:
        check_size(spec.width, spec.height, self._limits)
        if isinstance(spec, Txt2Img) and spec.hires is not None:
            check_target((spec.width, spec.height), spec.hires, self._limits)


def _texts(spec: JobSpec) -> tuple[str, ...]:
    hires = spec.hires if isinstance(spec, Txt2Img) else None
    second = (hires.prompt or "", hires.negative_prompt or "") if hires is not None else ()
    return (spec.prompt, spec.negative_prompt, *second)


def _models(spec: JobSpec) -> tuple[str | None, ...]:
    """Checkpoint and VAE, then the partners."""
    hires = spec.hires if isinstance(spec, Txt2Img) else None
    refiner = spec.refiner.checkpoint if spec.refiner is not None else None
    return spec.checkpoint, spec.vae, refiner, hires.checkpoint if hires is not None else None
