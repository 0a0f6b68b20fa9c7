"""Whether a value of an axis is one, with the rules and the sentences that options of a request have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bot.domain import values
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.models import (
    AUTOMATIC_VAE,
    FACE_MODELS,
    NONE,
    UPSCALERS,
    choose_face_model,
    find_checkpoint,
    find_upscaler,
    find_vae,
    names_of,
)
from bot.domain.parameters import Parameters
from bot.domain.ranges import check_ranges, within
from bot.domain.samplers import choose_sampler, choose_schedule
from bot.domain.sizes import check_size
from bot.domain.styles import Style
from bot.errors import UserFacingError
from gpu_worker.language.plots import Value
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import SEED_MAX, JobSpec

__all__ = [
    "Check", "PlotContext", "anything", "checkpoint", "choice", "denoising", "faces", "named_vae", "refiner", "sampler",
    "schedule", "seed", "size", "style_texts", "upscaler", "wish", "wished_within",
]  # fmt: skip

_NOBODYS_DEFAULT = "Euler"
"""A sampler whose own schedule is never written as Automatic."""
YES, NO = frozenset({"true", "yes", "y", "1", "on"}), frozenset({"false", "no", "n", "0", "off", "none", ""})


@dataclass(frozen=True)
class PlotContext:
    """What values are measured by."""

    facts: Sequence[ModelFact]
    limits: Limits
    base: JobSpec | None = None
    """None where only the values themselves are asked about."""
    styles: Mapping[str, Sequence[Style]] = field(default_factory=lambda: MappingProxyType({}))
    """What each value of a "Styles" axis means."""


Check = Callable[[Value, PlotContext], Value]
"""The value as it is stored and applied. Raises UserFacingError."""


def anything(value: Value, _context: PlotContext) -> Value:
    return value


def seed(value: Value, _context: PlotContext) -> Value:
    """-1, which draws one, included. Raises `seed_range`."""
    assert isinstance(value, int)
    if not -1 <= value <= SEED_MAX:
        raise UserFacingError("seed_range", wish=spoken(str(value)), most=SEED_MAX)
    return value


def wish(name: str) -> Check:
    """A field of `Parameters` with a range of its own. Raises `parameter_range`."""

    def check(value: Value, context: PlotContext) -> Value:
        wishes: dict[str, Any] = {name: value}
        check_ranges(Parameters(**wishes), context.limits)
        return value

    return check


def wished_within(name: str, most: Callable[[Limits], float]) -> Check:
    """Raises `<name>_range`."""

    def check(value: Value, context: PlotContext) -> Value:
        assert isinstance(value, int | float)
        # A value that is no number (nan) is in no range.
        return within(name, value, 1, most(context.limits))

    return check


def denoising(value: Value, context: PlotContext) -> Value:
    """Raises `denoising_range`, `denoising_picture_range`."""
    assert isinstance(value, int | float)
    picture = context.base is not None and context.base.kind == "img2img"
    if not 0 <= value <= 1 or (not picture and not value):
        raise UserFacingError("denoising_picture_range" if picture else "denoising_range", wish=f"{value:g}")
    return value


def sampler(value: Value, _context: PlotContext) -> Value:
    """Raises as `choose_sampler`."""
    found = choose_sampler(str(value), None)
    return found.sampler, found.schedule


def schedule(value: Value, _context: PlotContext) -> Value:
    """By its own name, whatever sampler a cell has. Raises as `choose_schedule`."""
    return choose_schedule(str(value), _NOBODYS_DEFAULT)


def checkpoint(value: Value, context: PlotContext) -> Value:
    """Raises as `find_checkpoint`."""
    return find_checkpoint(str(value), context.facts).name


def refiner(value: Value, context: PlotContext) -> Value:
    """Raises as `find_checkpoint`; whether it fits is asked of each cell."""
    return NONE if str(value).casefold() in (NONE.casefold(), "off", "") else checkpoint(value, context)


def named_vae(value: Value, context: PlotContext) -> Value:
    """Raises `vae_unknown`, `vae_unusable`; whether it fits is asked of each cell."""
    text = str(value)
    if text.casefold() in ("auto", AUTOMATIC_VAE.casefold()):
        return AUTOMATIC_VAE
    anywhere = ModelFact(kind="checkpoint", name="")
    return find_vae(text, anywhere, context.facts)


def upscaler(value: Value, context: PlotContext) -> Value:
    """Raises as `find_upscaler`."""
    return find_upscaler(str(value), context.facts)


def faces(value: Value, context: PlotContext) -> Value:
    """`CodeFormer`, `GFPGAN` or `off`. Raises as `choose_face_model`."""
    text = str(value).casefold()
    wanted = "on" if text in YES else "off" if text in NO else str(value)
    return choose_face_model(wanted, context.facts) or "off"


def choice(*options: str) -> Check:
    """Raises `plot_choice`."""

    def check(value: Value, _context: PlotContext) -> Value:
        try:
            return values.choice(str(value), options)
        except ValueError as error:
            raise UserFacingError("plot_choice", value=spoken(str(value)), options=", ".join(options)) from error

    return check


def size(value: Value, context: PlotContext) -> Value:
    """Raises `plot_size`, and those of `check_size`."""
    try:
        width, height = values.size(str(value))
    except ValueError as error:
        raise UserFacingError("plot_size", value=spoken(str(value))) from error
    check_size(width, height, context.limits)
    return f"{width}x{height}"


def style_texts(value: Value, context: PlotContext) -> Value:
    """The whole texts of the styles that it names; of an empty one none."""
    return tuple(text for style in context.styles.get(str(value), ()) for text in (style.prompt, style.negative_prompt))


def face_choices(_context: PlotContext) -> Sequence[str]:
    return (*FACE_MODELS, "off")


def vae_choices(context: PlotContext) -> Sequence[str]:
    return (AUTOMATIC_VAE, NONE, *names_of("vae", context.facts))


def checkpoint_choices(context: PlotContext) -> Sequence[str]:
    return names_of("checkpoint", context.facts)


def refiner_choices(context: PlotContext) -> Sequence[str]:
    return (NONE, *names_of("checkpoint", context.facts))


def upscaler_choices(context: PlotContext) -> Sequence[str]:
    return (*UPSCALERS, *names_of("upscaler", context.facts))
