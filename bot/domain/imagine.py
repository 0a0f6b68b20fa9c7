"""Building the one frozen request behind `/imagine`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from random import Random
from typing import Any

from bot.domain.control.keeping import NEEDED, from_text, led_by
from bot.domain.detail_fixes import known_units, read_fixes
from bot.domain.flags import Flagged, read_flags
from bot.domain.layouts.parts import parts_of_text
from bot.domain.limits import Limits
from bot.domain.lora_list import LoraWish, read_loras
from bot.domain.mentions import spoken
from bot.domain.models import (
    AUTOMATIC_VAE,
    DISABLED,
    NONE,
    check_loras,
    choose_face_model,
    find_checkpoint,
    find_lora,
    find_partner,
    find_vae,
    share_latents,
    useless_embeddings,
)
from bot.domain.named_models import embeddings_in
from bot.domain.notes import OF_PICTURES, Note, idle_keys, named, notes_of_pasted
from bot.domain.parameters import Parameters
from bot.domain.pasted import Pasted, read_pasted
from bot.domain.pictures import (
    GivenPicture,
    build_extend,
    build_mask,
    choose_picture_size,
    default_resize_mode,
    require_picture,
)
from bot.domain.ranges import check_ranges, numbers, within
from bot.domain.samplers import choose_sampler
from bot.domain.second_pass import build_hires, wants_hires
from bot.domain.sizes import choose_size
from bot.domain.styles import Style, apply_styles, holds_style
from bot.domain.template_syntax import is_template, text_tags
from bot.domain.text import Cleaned, clean, is_blank
from bot.errors import UserFacingError
from gpu_worker.language.networks import NetworkTagError, lora_refs, parse_networks
from gpu_worker.language.picture_fields import OwnKey
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import (
    SEED_MAX,
    ControlUnit,
    FaceRestore,
    Img2Img,
    JobSpec,
    Refiner,
    Template,
    Txt2Img,
    Variation,
)

__all__ = ["FALLBACK", "Built", "ImagineOptions", "build_imagine", "draw_seed"]

FALLBACK = Parameters(steps=20, cfg_scale=7.0, sampler="DPM++ 2M", schedule="Karras", clip_skip=1, count=4)
"""Below every other layer; A1111's values, with four pictures as a card shows."""
FALLBACK_NATIVE_PX = 512
MOST_PARTS = 32
"""Of an `AND`: each is a call of the model in every step."""
RANDOM_SEEDS = 4294967294
"""A1111 draws `randrange` of this, so a drawn seed can be typed there."""
_SWITCHES = ("tiling", "old_prompt_editing", "discard_penultimate", "zero_terminal_snr", "downcast_alphas")
_WORDS = ("noise_source", "emphasis")


@dataclass(frozen=True)
class ImagineOptions:
    """What the user gave; everything but the prompt may be missing. `base` lies below all they gave, a pasted text
    included, and above the style. `lora` may name several with weights, as `read_loras` takes them; it, `loras` and
    `words` are added to the prompt, behind everything that was typed."""

    prompt: str
    negative: str | None = None
    lora: str | None = None
    wishes: Parameters = field(default_factory=Parameters)
    picture: GivenPicture | None = None
    base: Parameters = field(default_factory=Parameters)
    loras: tuple[str, ...] = ()
    words: str = ""
    usual_negative: str | None = None
    """The negative prompt where neither `negative` nor a pasted text gives one; a flag's is added to it."""


@dataclass(frozen=True)
class Built:
    spec: JobSpec
    notes: tuple[Note, ...] = ()
    pending: tuple[ControlUnit, ...] = ()
    """Control units that a pasted text names, which wait for their pictures; the note NEEDED says so."""


def draw_seed(rng: Random) -> int:
    return rng.randrange(RANDOM_SEEDS)


def build_imagine(
    options: ImagineOptions,
    *,
    styles: Sequence[Style] = (),
    facts: Sequence[ModelFact],
    limits: Limits,
    user_defaults: Parameters | None = None,
    server_defaults: Parameters | None = None,
    rng: Random,
) -> Built:
    """The request, complete: every default resolved, the seed drawn.

    Layers, each over the one before: fallback < checkpoint's own defaults < server < user < styles < options < inline
    flags (a pasted infotext stands below the options). Order of checks, each a UserFacingError that names the
    next step:

    1. prompt and negative prompt: length, unreadable characters (removed, with a note if one could be seen), flags
    2. checkpoint: there is one, it is known, it is usable
    3. styles applied, in their order: something is left to draw, and it is not too long
    4. LoRAs, from the option and from tags in the texts: readable, known, usable, of the checkpoint's family
    5. sampler and schedule, VAE, faces, refiner
    6. size: aspect, sides, limits; second pass, or the given picture
    7. steps, CFG scale, clip skip, count, seed, and every other number

    The content rules are the caller's: `require_allowed` of the prompts before anything is stored.
    """
    typed = _text(options.prompt, "prompt_long", limits)
    unwanted = _text(options.negative or "", "negative_long", limits)
    notes = [Note("prompt_cleaned")] if typed.altered or unwanted.altered else []
    pasted = read_pasted(typed.text, facts, picture=options.picture is not None)
    flags = _of_text(pasted) if pasted else read_flags(typed.text)
    if flags.ignored and not pasted:
        notes.append(Note("flags_ignored", {"flags": named(flags.ignored)}))
    if pasted:
        notes += notes_of_pasted(pasted, picture=options.picture is not None)
    asked = flags.parameters.over(options.wishes)
    asked = (asked.over(pasted.parameters) if pasted else asked).over(options.base)
    wishes = Parameters()
    own_layers = (user_defaults, *(style.parameters.layer() for style in styles), asked)
    for layer in (server_defaults, *own_layers):
        wishes = layer.over(wishes) if layer else wishes
    checkpoint = find_checkpoint(wishes.checkpoint, facts)
    if not any(layer and layer.vae for layer in own_layers) and not _fits(wishes.vae, checkpoint, facts):
        # The server chose it for another checkpoint, which the member cannot know.
        wishes = replace(wishes, vae=None)
    own = _own_defaults(checkpoint)
    wishes = wishes.over(replace(own, width=None, height=None)).over(FALLBACK)

    usual = clean(options.usual_negative or "").text if options.negative is None and not pasted else ""
    own_negative = ", ".join(text for text in (unwanted.text or usual, flags.negative) if text)
    if pasted and (there := [style for style in styles if holds_style(style, flags.prompt, own_negative)]):
        # Its text was written with the style applied; once more would change the picture.
        styles = [style for style in styles if style not in there]
        notes.append(Note("styles_there", {"names": named([spoken(style.name) for style in there])}))
    prompt, negative = _styled(styles, flags.prompt, own_negative)
    if is_blank(prompt):
        raise UserFacingError("prompt_empty")
    if wishes.hires_prompt or wishes.hires_negative:
        second = _styled(styles, wishes.hires_prompt or "", wishes.hires_negative or "")
        wishes = replace(
            wishes,
            hires_prompt=second[0] if wishes.hires_prompt else None,
            hires_negative=second[1] if wishes.hires_negative else None,
        )
    texts = (prompt, negative, wishes.hires_prompt or "", wishes.hires_negative or "")
    if max(map(len, texts)) > limits.max_expanded_chars:
        raise UserFacingError("prompt_expanded_long", limit=limits.max_expanded_chars)
    if (parts := max(len(parts_of_text(text)) for text in texts)) > MOST_PARTS:
        raise UserFacingError("prompt_parts", parts=parts, most=MOST_PARTS)
    if options.words:
        prompt = f"{prompt.rstrip().rstrip(',')}, {options.words}"
    known = [name for fact in facts if fact.kind == "lora" for name in (fact.name, fact.alias) if name]
    for lora in (None, *read_loras(options.lora or "", known), *map(LoraWish, options.loras)):
        prompt = _with_lora(prompt, lora, checkpoint, facts)
    if wishes.hires_prompt:
        _with_lora(wishes.hires_prompt, None, checkpoint, facts)
    disabled = embeddings_in(" ".join((*texts, options.words)), [fact for fact in facts if fact.problem == DISABLED])
    if disabled:
        raise UserFacingError("model_disabled", name=spoken(disabled[0]))
    useless = useless_embeddings(" ".join(texts), checkpoint, facts)
    if useless:
        notes.append(Note("embedding_unused", {"names": named([*map(spoken, useless)])}))

    drawing = _drawing(wishes, checkpoint, facts, limits, rng)
    native_px = checkpoint.native_px or FALLBACK_NATIVE_PX
    native = (own.width or native_px, own.height or native_px)
    drawing |= {"prompt": prompt, "negative_prompt": negative}
    if options.picture is not None:
        if wants_hires(asked):
            notes.append(Note("hires_not_with_picture"))
        spec: JobSpec = _from_picture(drawing, options.picture, wishes, native, native_px, limits)
    else:
        require_picture(asked)  # of a pasted text it is left out already
        width, height = choose_size(wishes, native, native_px, limits)
        hires = build_hires(wishes, (width, height), checkpoint, facts, limits)
        switched_off = asked.hires_scale == 0
        if hires is None and not pasted and not switched_off and asked.denoising_strength is not None:
            notes.append(Note("denoise_unused"))
        spec = Txt2Img(**drawing, width=width, height=height, hires=hires)
    if pasted and pasted.regions is not None:
        spec = spec.model_copy(update={"regions": pasted.regions})
    if pasted and pasted.details and asked.detail_fix is None:
        details, unknown = known_units(pasted.details, facts, limits)
        spec = spec.model_copy(update={"details": details})
        if unknown:
            notes.append(Note("pasted_missing", {"names": named(unknown)}))
    pending: tuple[ControlUnit, ...] = ()
    if pasted and pasted.units:
        pending, lacking = from_text(pasted.units, checkpoint, facts)
        if lacking := [name for name in lacking if name not in pasted.missing]:
            notes.append(Note("pasted_missing", {"names": named(lacking)}))
        if isinstance(spec, Img2Img) and pending:
            spec, pending = led_by(spec, pending), ()
            notes.append(Note("control_follows_picture"))
        elif pending:
            notes.append(Note(NEEDED, {"names": named([spoken(unit.model) for unit in pending])}))
    if asked.variation_seed is not None and not wishes.variation_strength:
        notes.append(Note("variation_unused"))
    if idle := idle_keys(flags.parameters.over(options.wishes), spec):
        notes.append(Note("unused", {"names": named(idle)}))
    if pasted and pasted.path:
        typed_over = flags.parameters.over(options.wishes)
        if typed_over.seed is None and pasted.parameters.seed is not None and typed_over.variation_strength is None:
            spec = spec.model_copy(update={"variations": pasted.path})
        else:
            notes.append(Note("parameters_ignored", {"names": OwnKey.VARIATION_PATH}))
    if wishes.combinatorial and (is_template(prompt) or is_template(negative)):
        template = Template(prompt=prompt, negative_prompt=negative, combinatorial=True)
        spec = spec.model_copy(update={"template": template})
    elif asked.combinatorial:
        notes.append(Note("combinatorial_unused"))
    return Built(spec, tuple(notes), pending)


def _of_text(pasted: Pasted) -> Flagged:
    negative = ", ".join(text for text in (pasted.negative, pasted.flags.negative) if text)
    return Flagged(pasted.prompt, pasted.flags.parameters, negative, pasted.flags.ignored)


def _text(raw: str, too_long: str, limits: Limits) -> Cleaned:
    cleaned = clean(raw)
    if len(cleaned.text) > limits.max_prompt_chars:
        raise UserFacingError(too_long, limit=limits.max_prompt_chars)
    return cleaned


def _styled(styles: Sequence[Style], prompt: str, negative: str) -> tuple[str, str]:
    return (
        apply_styles((style.prompt for style in styles), prompt),
        apply_styles((style.negative_prompt for style in styles), negative),
    )


def _own_defaults(checkpoint: ModelFact) -> Parameters:
    """What the worker says this checkpoint is drawn best with; names it does not know yet are left aside."""
    said = checkpoint.defaults or {}
    return Parameters(**{wish.name: said[wish.name] for wish in fields(Parameters) if wish.name in said})


def _fits(vae: str | None, checkpoint: ModelFact, facts: Sequence[ModelFact]) -> bool:
    return all(share_latents(fact, checkpoint) for fact in facts if fact.kind == "vae" and fact.name == vae)


def _drawing(
    wishes: Parameters, checkpoint: ModelFact, facts: Sequence[ModelFact], limits: Limits, rng: Random
) -> dict[str, Any]:
    """Everything of a `Drawing` but texts and size."""
    choice = choose_sampler(wishes.sampler, wishes.schedule)
    drawing: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "vae": find_vae(wishes.vae, checkpoint, facts) if wishes.vae else AUTOMATIC_VAE,
        "sampler": choice.sampler,
        "schedule": choice.schedule,
        "face_restore": _faces(wishes, facts),
        "refiner": _refiner(wishes, checkpoint, facts),
        "details": read_fixes(wishes.detail_fix, facts) if wishes.detail_fix else (),
    }
    count = within("count", wishes.count, 1, limits.max_count)
    drawing |= {
        "steps": within("steps", wishes.steps, 1, limits.max_steps),
        "cfg_scale": within("cfg_scale", wishes.cfg_scale, 1, limits.max_cfg_scale),
        "clip_skip": within("clip_skip", wishes.clip_skip, 1, limits.max_clip_skip),
        "count": count,
    }
    check_ranges(wishes, limits)
    strength = wishes.variation_strength
    drawing |= {
        # With a variation the seed stays, and the variation's own counts up.
        "seed": _seed(wishes.seed, 1 if strength else count, rng),
        "variations": (Variation(seed=_seed(wishes.variation_seed, count, rng), strength=strength),)
        if strength
        else (),
        "seed_resize": wishes.seed_resize if all(wishes.seed_resize or (0,)) else None,
    }
    given = {name: wish for name in (*_SWITCHES, *_WORDS) if (wish := getattr(wishes, name)) is not None}
    return drawing | given | numbers(wishes)


def _from_picture(
    drawing: dict[str, Any],
    picture: GivenPicture,
    wishes: Parameters,
    native: tuple[int, int],
    native_px: int,
    limits: Limits,
) -> Img2Img:
    size = choose_picture_size(picture, wishes, native, native_px, limits)
    extend, whole = build_extend(wishes, size, limits)
    strength = wishes.denoising_strength
    if strength is not None and not 0 <= strength <= 1:
        raise UserFacingError("denoising_picture_range", wish=f"{strength:g}")
    given: dict[str, Any] = {name: wish for name in OF_PICTURES if (wish := getattr(wishes, name)) is not None}
    if strength is not None:
        given["denoising_strength"] = strength
    return Img2Img(
        **drawing,
        **given,
        width=whole[0],
        height=whole[1],
        image=picture.image,
        resize_mode=wishes.resize_mode or default_resize_mode(picture, size),  # pyright: ignore[reportArgumentType]
        mask=build_mask(picture, wishes),
        extend=extend,
    )


def _faces(wishes: Parameters, facts: Sequence[ModelFact]) -> FaceRestore | None:
    model = choose_face_model(wishes.face_restore, facts) if wishes.face_restore else None
    if model is None:
        return None
    given = {"visibility": wishes.face_visibility, "weight": wishes.face_weight}
    return FaceRestore.model_validate({"model": model} | {key: wish for key, wish in given.items() if wish is not None})


def _refiner(wishes: Parameters, checkpoint: ModelFact, facts: Sequence[ModelFact]) -> Refiner | None:
    if not wishes.refiner or wishes.refiner.casefold() in (NONE.casefold(), "off"):
        return None
    name = find_partner(wishes.refiner, checkpoint, facts)
    return (
        Refiner(checkpoint=name) if wishes.refiner_at is None else Refiner(checkpoint=name, switch_at=wishes.refiner_at)
    )


def _with_lora(prompt: str, wanted: LoraWish | None, checkpoint: ModelFact, facts: Sequence[ModelFact]) -> str:
    """The prompt with the chosen LoRA's tag, unless the prompt names it already; every tag checked."""
    try:
        named = [ref.name for ref in lora_refs(parse_networks(text_tags(prompt))[1])]
    except NetworkTagError as error:
        raise UserFacingError("lora_weight", name=spoken(error.name)) from error
    if wanted is not None:
        found = find_lora(wanted.name, facts)
        name = found.name
        if not {name, found.alias} & {*named}:
            tag = f"<lora:{name}:{wanted.weights}>"
            prompt = f"{prompt.rstrip()} {tag}"
            # A name with a sign of the tag's own syntax would be read back as something else.
            if [ref.name for ref in lora_refs(parse_networks(tag)[1])] != [name]:
                raise UserFacingError("lora_unwritable", name=spoken(name))
            named.append(name)
    check_loras(named, checkpoint, facts)
    return prompt


def _seed(wish: int | None, count: int, rng: Random) -> int:
    """-1 and no wish draw one. Raises UserFacingError (`seed_range`)."""
    if wish is None or wish == -1:
        return draw_seed(rng)
    highest = SEED_MAX - (count - 1)
    if not 0 <= wish <= highest:
        raise UserFacingError("seed_range", wish=wish, most=highest)
    return wish
