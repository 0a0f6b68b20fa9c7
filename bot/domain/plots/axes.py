"""The axes that a plot may have, by A1111's names (behaviours §14.1).

Left out, because our pictures have no such setting: UniPC Order, Beta schedule alpha and beta, Token merging ratio
(and high-res), SGM noise multiplier, FP8 mode. docs/plots.md tells people why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from bot.domain.plots import applying, checking
from bot.domain.plots.applying import Apply, applies_field, applies_hires
from bot.domain.plots.axis_type import NOTHING, AxisType, Needs
from bot.domain.plots.checking import Check, PlotContext, wish, wished_within
from bot.domain.plots.control_axes import CONTROL_AXES
from bot.domain.plots.lora_axes import LORA_AXES
from bot.domain.wishes import EMPHASES, NOISE_SOURCES
from gpu_worker.language.names import SCHEDULES, sampler_choices
from gpu_worker.language.plots import Value

__all__ = ["AXES", "find_axis"]


def _fixed(*names: str) -> Callable[[PlotContext], Sequence[str]]:
    return lambda _context: names


def _whole(name: str, apply: Apply, check: Check, needs: Needs | None = None, rank: int = 1) -> AxisType:
    return AxisType(name, "whole", apply, check, needs=needs, rank=rank)


def _decimal(name: str, apply: Apply, check: Check, needs: Needs | None = None, rank: int = 1) -> AxisType:
    return AxisType(name, "decimal", apply, check, needs=needs, rank=rank)


def _field(name: str, field: str, needs: Needs | None = None) -> AxisType:
    """A number that a drawing has under the name that wishes have for it."""
    return _decimal(name, applies_field(field), wish(field), needs)


_SWITCH: Mapping[Value, object] = MappingProxyType({"True": True, "False": False})

_AXES: tuple[AxisType, ...] = (
    AxisType(NOTHING, "text", lambda spec, _value, _given: spec, shown="empty"),
    _whole("Seed", applies_field("seed"), checking.seed),
    _whole("Var. seed", applying.applies_variation_seed, checking.seed, "variation", rank=2),
    _decimal("Var. strength", applying.applies_variation_strength, wish("variation_strength")),
    _whole("Steps", applies_field("steps"), wished_within("steps", lambda limits: limits.max_steps)),
    _whole("Hires steps", applies_hires("steps"), wish("hires_steps"), "hires"),
    _decimal("CFG Scale", applies_field("cfg_scale"), wished_within("cfg_scale", lambda limits: limits.max_cfg_scale)),
    _field("Image CFG Scale", "image_cfg_scale", "picture"),
    AxisType("Prompt S/R", "text", applying.applies_search, shown="bare", adds=True, empty=True),
    AxisType("Prompt order", "order", applying.applies_order, shown="joined", adds=True),
    AxisType("Sampler", "text", applying.applies_sampler, checking.sampler, shown="bare", rank=0,
             choices=lambda _context: sampler_choices()),
    AxisType("Hires sampler", "text", applying.applies_hires_sampler, checking.sampler, needs="hires",
             choices=lambda _context: sampler_choices()),
    AxisType("Checkpoint name", "text", applies_field("checkpoint"), checking.checkpoint, cost=1.0, shown="base name",
             rank=0, choices=checking.checkpoint_choices),
    _field("Negative Guidance minimum sigma", "ngms"),
    _field("Sigma Churn", "s_churn"),
    _field("Sigma min", "s_tmin"),
    _field("Sigma max", "s_tmax"),
    _field("Sigma noise", "s_noise"),
    AxisType("Schedule type", "text", applying.applies_schedule, checking.schedule, choices=_fixed(*SCHEDULES)),
    _field("Schedule min sigma", "sigma_min"),
    _field("Schedule max sigma", "sigma_max"),
    _field("Schedule rho", "rho"),
    _field("Eta", "eta"),
    _whole("Clip skip", applies_field("clip_skip"), wished_within("clip_skip", lambda limits: limits.max_clip_skip)),
    _decimal("Denoising", applying.applies_denoising, checking.denoising, "hires or picture"),
    _field("Initial noise multiplier", "noise_multiplier", "picture"),
    _field("Extra noise", "extra_noise", "picture"),
    _decimal("Hires upscale", applies_hires("scale"), wish("hires_scale"), "hires"),
    AxisType("Hires upscaler", "text", applies_hires("upscaler"), checking.upscaler, needs="hires",
             choices=checking.upscaler_choices),
    _field("Cond. Image Mask Weight", "mask_weight", "picture"),
    AxisType("VAE", "text", applies_field("vae"), checking.named_vae, cost=0.7, choices=checking.vae_choices),
    AxisType("Styles", "text", applying.applies_styles, checking.style_texts, rank=2, adds=True, empty=True),
    AxisType("Face restore", "text", applying.applies_faces, checking.faces, shown="bare",
             choices=checking.face_choices),
    AxisType("Always discard next-to-last sigma", "text", applies_field("discard_penultimate", _SWITCH),
             checking.choice("True", "False"), choices=_fixed("False", "True")),
    AxisType("Refiner checkpoint", "text", applying.applies_refiner, checking.refiner, cost=1.0, shown="base name",
             rank=0, choices=checking.refiner_choices),
    _decimal("Refiner switch at", applying.applies_refiner_switch, wish("refiner_at"), "refiner"),
    AxisType("RNG source", "text", applies_field("noise_source"), checking.choice(*NOISE_SOURCES),
             choices=_fixed(*NOISE_SOURCES)),
    AxisType("Size", "text", applying.applies_size, checking.size, rank=0),
    AxisType("Emphasis", "text", applies_field("emphasis"), checking.choice(*EMPHASES), choices=_fixed(*EMPHASES)),
)  # fmt: skip

AXES: Mapping[str, AxisType] = MappingProxyType(
    {axis.name.casefold(): axis for axis in (*_AXES, *LORA_AXES, *CONTROL_AXES)}
)
"""By their names in lower case, in A1111's order; then ours of LoRAs; those of control units last."""


def find_axis(name: str) -> AxisType | None:
    """Upper and lower case and spaces alike."""
    return AXES.get(" ".join(name.split()).casefold())
