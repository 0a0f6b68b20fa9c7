"""A whole infotext of A1111 (or of whatever writes its line) pasted as the prompt: its parts become the request.

Discord's box for an option holds one line, so the breaks before "Negative prompt:" and "Steps:" may have become spaces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.domain.flags import Flagged, read_flags
from bot.domain.mentions import spoken
from bot.domain.models import choose_face_model, find_checkpoint, find_partner, find_upscaler, find_vae
from bot.domain.parameters import Parameters
from bot.domain.sizes import MIN_SIDE_PX
from bot.errors import UserFacingError
from gpu_worker.language.infotext import parse_generation_parameters, parse_infotext
from gpu_worker.language.parameters import drawing_from_infotext
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Regions, Variation

__all__ = ["Pasted", "is_infotext", "read_pasted"]

_LINE = re.compile(r"\s(?=Steps: \d{1,4}, )")
_FLAGS_ALONE = re.compile(r"(Steps: \d{1,4}, [^\n]*)\n\s*(?=(?:--|[—–―])[a-zA-Z][^\n]*\Z)")
_QUOTED = re.compile(r':\s*"(?:\\.|[^"\\])*"')
_IN_LINE = re.compile(r"(?<!\S)(?:--|[—–―])[a-zA-Z]")
_NEGATIVE = re.compile(r"\s+(?=Negative prompt:)")
_SAME_NAME = (
    "vae", "steps", "cfg_scale", "sampler", "schedule", "clip_skip", "seed", "width", "height", "seed_resize",
    "noise_source", "ensd", "emphasis", "old_prompt_editing", "tiling", "ngms", "eta", "s_churn", "s_tmin", "s_tmax",
    "s_noise", "sigma_min", "sigma_max", "rho", "discard_penultimate", "zero_terminal_snr", "downcast_alphas",
    "denoising_strength", "resize_mode", "exact_steps", "color_correction", "mask_weight", "image_cfg_scale",
    "noise_multiplier", "extra_noise",
)  # fmt: skip
_OF_HIRES = (
    ("scale", "hires_scale"), ("upscaler", "hires_upscaler"), ("steps", "hires_steps"), ("sampler", "hires_sampler"),
    ("schedule", "hires_schedule"), ("checkpoint", "hires_checkpoint"), ("prompt", "hires_prompt"),
    ("negative_prompt", "hires_negative"), ("denoising_strength", "denoising_strength"),
)  # fmt: skip
_OF_MASK = (
    ("blur", "mask_blur"), ("invert", "mask_invert"), ("content", "mask_content"), ("only_masked", "only_masked"),
    ("padding_px", "padding_px"),
)  # fmt: skip


@dataclass(frozen=True)
class Pasted:
    prompt: str
    negative: str
    parameters: Parameters
    unused: tuple[str, ...] = ()
    """What could not be taken over, as `key: value` of the text."""
    missing: tuple[str, ...] = ()
    """Models it names that are not here; it is drawn without them."""
    needs_picture: bool = False
    units: tuple[Mapping[str, Any], ...] = ()
    """Control units, as values of `ControlUnit` without pictures, which no text holds."""
    regions: Regions | None = None
    details: tuple[dict[str, Any], ...] = ()
    """Units of detail fix, as values of `DetailFix`."""
    path: tuple[Variation, ...] = ()
    """Variations of variations, which wishes cannot say."""
    flags: Flagged = field(default_factory=lambda: Flagged("", Parameters()))
    """What stood behind the text."""


def is_infotext(text: str) -> bool:
    return "Steps" in parse_infotext(_with_breaks(text)).fields


def read_pasted(text: str, facts: Sequence[ModelFact], *, picture: bool = False) -> Pasted | None:
    """None for a text that is no infotext. Flags may stand behind it. `picture`: one was given to start from.

    A model that is not installed is left out and told instead of refused, because whoever pastes a text did not choose
    it. A checkpoint is found by its hash, too. Raises UserFacingError: those of `read_flags`.
    """
    if not is_infotext(text):
        return None
    whole, flags = _without_flags(_with_breaks(text))
    fields = parse_generation_parameters(whole)
    values, notes = drawing_from_infotext(fields, "")
    wishes = _wishes(values, picture=picture)
    wishes, missing = _installed(replace(wishes, checkpoint=_checkpoint(fields, facts)), fields, facts)
    units = tuple(values.get("control", ()))
    here = {fact.name.casefold() for fact in facts if fact.kind == "controlnet"}
    missing += [spoken(each["model"]) for each in units if str(each["model"]).casefold() not in here]
    told = [
        f"{note.key}: {note.value}"[:100] for note in notes if note.reason not in ("picture_needed", "model_by_hash")
    ]
    return Pasted(
        prompt=str(values.get("prompt", "")),
        negative=str(values.get("negative_prompt", "")),
        parameters=wishes,
        unused=tuple(told),
        missing=tuple(missing),
        needs_picture=values.get("kind") == "img2img",
        units=units,
        regions=Regions(**values["regions"]) if "regions" in values else None,
        details=tuple(values.get("details", ())),
        path=tuple(Variation(**step) for step in path) if len(path := values.get("variations", ())) > 1 else (),
        flags=flags,
    )


def _with_breaks(text: str) -> str:
    """Breaks of the line are put back where a box has made them spaces; the last line decides, and flags that stand on
    a line of their own below it belong to it."""
    text = _FLAGS_ALONE.sub(r"\1 ", text.rstrip())
    last = text.rstrip().rpartition("\n")[2]
    found = [*_LINE.finditer(last)]
    if not found:
        return text
    place = len(text.rstrip()) - len(last) + found[-1].start()
    return _NEGATIVE.sub("\n", text[:place], count=1) + "\n" + text[place + 1 :]


def _without_flags(whole: str) -> tuple[str, Flagged]:
    """The text alone, and the flags behind its last line; what stands in quotes there is the text's."""
    head, lines, line = whole.rstrip().rpartition("\n")
    quoted = [*_QUOTED.finditer(line)]
    at = quoted[-1].end() if quoted else 0
    flags = read_flags(line[at:])
    rest = flags.prompt
    if flags.ignored and (unknown := _IN_LINE.search(rest)):
        rest = rest[: unknown.start()]
    return f"{head}{lines}{line[:at]}{rest.rstrip().rstrip(',')}", flags


def _wishes(values: Mapping[str, Any], *, picture: bool) -> Parameters:
    wishes: dict[str, Any] = {name: values[name] for name in _SAME_NAME if name in values}
    hires, mask = values.get("hires"), values.get("mask")
    if hires:
        wishes |= {ours: hires[name] for name, ours in _OF_HIRES if name in hires}
        size = (hires.get("resize_width", 0), hires.get("resize_height", 0))
        if any(size):
            wishes |= {"hires_size": size, "hires_scale": None}
        elif "hires_scale" not in wishes:
            wishes["hires_scale"] = 2.0
    if mask:
        wishes |= {ours: mask[name] for name, ours in _OF_MASK if name in mask}
    if face := values.get("face_restore"):
        wishes |= {
            "face_restore": face["model"],
            "face_visibility": face.get("visibility"),
            "face_weight": face.get("weight"),
        }
    if refiner := values.get("refiner"):
        wishes |= {"refiner": refiner["checkpoint"], "refiner_at": refiner.get("switch_at")}
    if len(path := values.get("variations", ())) == 1:
        wishes |= {"variation_seed": path[0]["seed"], "variation_strength": path[0]["strength"]}
    if picture and (extend := values.get("extend")):
        left, right, top, bottom = (extend.get(side, 0) for side in ("left", "right", "top", "bottom"))
        # A text's size is that of the whole canvas.
        inner = wishes.get("width", 0) - left - right, wishes.get("height", 0) - top - bottom
        if min(inner) >= MIN_SIDE_PX:
            wishes |= {"extend": (left, right, top, bottom), "width": inner[0], "height": inner[1]}
    if size := wishes.get("seed_resize"):
        wishes["seed_resize"] = tuple(size)
    # A text is one picture's.
    return Parameters(**wishes, count=1)


def _checkpoint(fields: Mapping[str, Any], facts: Sequence[ModelFact]) -> str | None:
    """By its name, else by its hash, else None."""
    name, digest = fields.get("Model"), str(fields.get("Model hash", "")).casefold()
    if name:
        try:
            return find_checkpoint(str(name), facts).name
        except UserFacingError:
            pass
    if len(digest) >= 8:
        for fact in facts:
            if fact.kind == "checkpoint" and not fact.problem and (fact.sha256 or "").startswith(digest):
                return fact.name
    return None


def _installed(
    wishes: Parameters, fields: Mapping[str, Any], facts: Sequence[ModelFact]
) -> tuple[Parameters, list[str]]:
    missing: list[str] = []
    if wishes.checkpoint is None and fields.get("Model"):
        missing.append(spoken(str(fields["Model"])))
    try:
        checkpoint = find_checkpoint(wishes.checkpoint, facts)
    except UserFacingError:
        return wishes, missing  # there is none at all, which is told as ever

    def fits(name: str) -> bool:
        wish = getattr(wishes, name)
        try:
            match name:
                case "vae":
                    find_vae(wish, checkpoint, facts)
                case "hires_upscaler":
                    find_upscaler(wish, facts)
                case "face_restore":
                    choose_face_model(wish, facts)
                case _:
                    find_partner(wish, checkpoint, facts)
        except UserFacingError:
            return False
        return True

    for name in ("vae", "hires_upscaler", "face_restore", "refiner", "hires_checkpoint"):
        if getattr(wishes, name) is not None and not fits(name):
            missing.append(spoken(str(getattr(wishes, name))))
            wishes = wishes.without(name)
    return wishes, missing
