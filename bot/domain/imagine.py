"""Building the one frozen request behind `/imagine`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from random import Random
from types import MappingProxyType
from typing import TypeVar

from bot.domain.flags import read_flags
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.models import check_loras, closest, find_checkpoint, find_lora
from bot.domain.parameters import Parameters
from bot.domain.sizes import choose_size
from bot.domain.styles import Style, apply_style
from bot.domain.text import Cleaned, clean, is_blank
from bot.errors import UserFacingError
from gpu_worker.language.names import SAMPLER_CHOICES, SCHEDULES, SamplerChoice, resolve_sampler
from gpu_worker.language.networks import NetworkTagError, lora_refs, parse_networks
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import SEED_MAX, Txt2Img

__all__ = ["FALLBACK", "Built", "ImagineOptions", "Note", "build_imagine", "draw_seed"]

FALLBACK = Parameters(steps=20, cfg_scale=7.0, sampler="DPM++ 2M", schedule="Karras", clip_skip=1, count=4)
"""Below every other layer; A1111's values, with four pictures as a card shows."""
FALLBACK_NATIVE_PX = 512
RANDOM_SEEDS = 4294967294
"""A1111 draws `randrange` of this, so a drawn seed can be typed there."""


N = TypeVar("N", int, float)


@dataclass(frozen=True)
class ImagineOptions:
    """What the user gave; everything but the prompt may be missing."""

    prompt: str
    negative: str | None = None
    checkpoint: str | None = None
    lora: str | None = None
    aspect: str | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    cfg_scale: float | None = None
    sampler: str | None = None
    schedule: str | None = None
    clip_skip: int | None = None
    seed: int | None = None
    count: int | None = None

    def layer(self) -> Parameters:
        return Parameters(**{wish.name: getattr(self, wish.name) for wish in fields(Parameters)})


@dataclass(frozen=True)
class Note:
    """Something the user should know though the request goes on; the sentence is `note.<key>`."""

    key: str
    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Built:
    spec: Txt2Img
    notes: tuple[Note, ...] = ()


def draw_seed(rng: Random) -> int:
    return rng.randrange(RANDOM_SEEDS)


def build_imagine(
    options: ImagineOptions,
    *,
    style: Style | None = None,
    facts: Sequence[ModelFact],
    limits: Limits,
    user_defaults: Parameters | None = None,
    server_defaults: Parameters | None = None,
    rng: Random,
) -> Built:
    """The request, complete: every default resolved, the seed drawn.

    Layers, each over the one before: fallback < checkpoint's own defaults < server < user < style < options < inline
    flags. Order of checks, each a UserFacingError that names the next step:

    1. prompt and negative prompt: length, unreadable characters (removed, with a note if one could be seen), flags
    2. checkpoint: there is one, it is known, it is usable
    3. style applied: something is left to draw, and it is not too long
    4. LoRAs, from the option and from tags in the text: readable, known, usable, of the checkpoint's family
    5. sampler and schedule
    6. size: aspect, sides, limits
    7. steps, CFG scale, clip skip, count, seed

    The content rules are the caller's: `require_allowed(built.spec.prompt)` before anything is stored.
    """
    typed = _text(options.prompt, "prompt_long", limits)
    flags = read_flags(typed.text)
    unwanted = _text(options.negative or "", "negative_long", limits)
    notes = [Note("prompt_cleaned")] if typed.altered or unwanted.altered else []
    if flags.ignored:
        notes.append(Note("flags_ignored", {"flags": ", ".join(flags.ignored)}))

    wishes = Parameters()
    for layer in (server_defaults, user_defaults, style.parameters.layer() if style else None, options.layer()):
        wishes = layer.over(wishes) if layer else wishes
    wishes = flags.parameters.over(wishes)
    checkpoint = find_checkpoint(wishes.checkpoint, facts)
    own = _own_defaults(checkpoint)
    wishes = wishes.over(replace(own, width=None, height=None)).over(FALLBACK)

    prompt = apply_style(style.prompt, flags.prompt) if style else flags.prompt
    negative = ", ".join(part for part in (unwanted.text, flags.negative) if part)
    negative = apply_style(style.negative_prompt, negative) if style else negative
    if is_blank(prompt):
        raise UserFacingError("prompt_empty")
    if max(len(prompt), len(negative)) > limits.max_expanded_chars:
        raise UserFacingError("prompt_expanded_long", limit=limits.max_expanded_chars)
    prompt = _with_lora(prompt, options.lora, checkpoint, facts)

    sampler = _sampler(wishes.sampler, wishes.schedule)
    native_px = checkpoint.native_px or FALLBACK_NATIVE_PX
    native = (own.width or native_px, own.height or native_px)
    width, height = choose_size(wishes, native, native_px, limits)
    count = _within("count", wishes.count, 1, limits.max_count)
    return Built(
        Txt2Img(
            prompt=prompt,
            negative_prompt=negative,
            checkpoint=checkpoint.name,
            width=width,
            height=height,
            steps=_within("steps", wishes.steps, 1, limits.max_steps),
            cfg_scale=_within("cfg_scale", wishes.cfg_scale, 1, limits.max_cfg_scale),
            sampler=sampler.sampler,
            schedule=sampler.schedule,
            clip_skip=_within("clip_skip", wishes.clip_skip, 1, limits.max_clip_skip),
            seed=_seed(wishes.seed, count, rng),
            count=count,
        ),
        tuple(notes),
    )


def _text(raw: str, too_long: str, limits: Limits) -> Cleaned:
    cleaned = clean(raw)
    if len(cleaned.text) > limits.max_prompt_chars:
        raise UserFacingError(too_long, limit=limits.max_prompt_chars)
    return cleaned


def _own_defaults(checkpoint: ModelFact) -> Parameters:
    """What the worker says this checkpoint is drawn best with; names it does not know yet are left aside."""
    said = checkpoint.defaults or {}
    return Parameters(**{wish.name: said[wish.name] for wish in fields(Parameters) if wish.name in said})


def _with_lora(prompt: str, wanted: str | None, checkpoint: ModelFact, facts: Sequence[ModelFact]) -> str:
    """The prompt with the chosen LoRA's tag, unless the prompt names it already; every tag checked."""
    try:
        named = [ref.name for ref in lora_refs(parse_networks(prompt)[1])]
    except NetworkTagError as error:
        raise UserFacingError("lora_weight", name=spoken(error.name)) from error
    if wanted is not None:
        name = find_lora(wanted, facts).name
        if name not in named:
            tag = f"<lora:{name}:1>"
            prompt = f"{prompt.rstrip()} {tag}"
            # A name with a sign of the tag's own syntax would be read back as something else.
            if [ref.name for ref in lora_refs(parse_networks(tag)[1])] != [name]:
                raise UserFacingError("lora_unwritable", name=spoken(name))
            named.append(name)
    check_loras(named, checkpoint, facts)
    return prompt


def _sampler(name: str | None, schedule: str | None) -> SamplerChoice:
    """Raises UserFacingError: `sampler_unknown`, `schedule_unknown`, `schedule_twice`, `sampler_later`."""
    name = name or SAMPLER_CHOICES[0]
    if resolve_sampler(name) is None:
        near = ", ".join(closest(name, SAMPLER_CHOICES))
        raise UserFacingError("sampler_unknown", name=spoken(name), closest=near)
    choice = resolve_sampler(name, schedule)
    assert choice is not None, "known by its name alone, so known with a schedule"
    # `resolve_sampler` reads an unknown schedule as Automatic and lets one in the name win; both would go unsaid.
    if schedule and resolve_sampler(f"{choice.sampler} {schedule}") is None:
        raise UserFacingError("schedule_unknown", name=spoken(schedule), closest=", ".join(SCHEDULES))
    if (
        schedule
        and resolve_sampler(f"{name} {schedule}") is None
        and choice != resolve_sampler(choice.sampler, schedule)
    ):
        raise UserFacingError("schedule_twice", name=spoken(name), schedule=spoken(schedule))
    if not choice.draws:
        raise UserFacingError("sampler_later", name=spoken(name), choices=", ".join(SAMPLER_CHOICES))
    return choice


def _within(name: str, wish: N | None, least: N, most: N) -> N:
    """Raises UserFacingError (`steps_range`, `cfg_scale_range`, `clip_skip_range`, `count_range`)."""
    assert wish is not None, f"the fallback layer lacks {name}"
    if not least <= wish <= most:
        raise UserFacingError(f"{name}_range", wish=f"{wish:g}", least=f"{least:g}", most=f"{most:g}")
    return wish


def _seed(wish: int | None, count: int, rng: Random) -> int:
    """-1 and no wish draw one. Raises UserFacingError (`seed_range`)."""
    if wish is None or wish == -1:
        return draw_seed(rng)
    highest = SEED_MAX - (count - 1)
    if not 0 <= wish <= highest:
        raise UserFacingError("seed_range", wish=wish, most=highest)
    return wish
