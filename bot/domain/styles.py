"""Styles: a saved prompt, negative prompt and parameters, applied to a prompt as A1111 applies its styles."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.domain.parameters import Parameters
from bot.domain.recorded import parameters_of
from bot.domain.sizes import ASPECTS
from bot.domain.text import clean, is_blank
from bot.errors import UserFacingError
from gpu_worker.protocol.specs import JobSpec

__all__ = [
    "MAX_NAME_CHARS", "NO_STYLE", "PLACEHOLDER", "Style", "StyleParameters", "apply_style", "apply_styles",
    "check_style_name", "extract_style", "holds_style", "is_no_style", "make_style", "style_from_spec", "style_key",
]  # fmt: skip

PLACEHOLDER = "{prompt}"
NO_STYLE = "None"
"""A1111's empty style: a word instead of a name that takes away the usual ones."""
MAX_NAME_CHARS = 60
_NO_LOOK = frozenset({"seed", "count"})
MAX_TEXT_CHARS = 6000
_MENTION_SIGNS = frozenset("@#<>`")

Side = Annotated[int, Field(ge=64, le=4096, multiple_of=8)]


class StyleParameters(BaseModel):
    """As `Parameters`; what the database holds as JSON. None is left to the layers below."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str | None = None
    vae: str | None = None
    width: Side | None = None
    height: Side | None = None
    aspect: str | None = Field(default=None, pattern=rf"^(?:{'|'.join(ASPECTS)})$")
    steps: int | None = Field(default=None, ge=1, le=150)
    cfg_scale: float | None = Field(default=None, ge=1, le=30)
    sampler: str | None = None
    schedule: str | None = None
    clip_skip: int | None = Field(default=None, ge=1, le=12)
    seed: int | None = Field(default=None, ge=0, le=2**64 - 4)
    count: int | None = Field(default=None, ge=1, le=4)
    seed_resize: tuple[int, int] | None = None
    noise_source: str | None = None
    ensd: int | None = None
    emphasis: str | None = None
    old_prompt_editing: bool | None = None
    tiling: bool | None = None
    face_restore: str | None = None
    face_visibility: float | None = None
    face_weight: float | None = None
    detail_fix: str | None = Field(default=None, max_length=200)
    refiner: str | None = None
    refiner_at: float | None = None
    ngms: float | None = None
    eta: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    sigma_min: float | None = None
    sigma_max: float | None = None
    rho: float | None = None
    discard_penultimate: bool | None = None
    zero_terminal_snr: bool | None = None
    downcast_alphas: bool | None = None
    hires_scale: float | None = Field(default=None, ge=0, le=4)
    hires_size: tuple[int, int] | None = None
    hires_upscaler: str | None = None
    hires_steps: int | None = Field(default=None, ge=0, le=150)
    hires_sampler: str | None = None
    hires_schedule: str | None = None
    hires_checkpoint: str | None = None
    denoising_strength: float | None = Field(default=None, ge=0, le=1)

    def layer(self) -> Parameters:
        return Parameters(**self.model_dump())


class Style(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    prompt: str = Field(default="", max_length=MAX_TEXT_CHARS)
    negative_prompt: str = Field(default="", max_length=MAX_TEXT_CHARS)
    parameters: StyleParameters = StyleParameters()


def apply_style(style_text: str, prompt: str) -> str:
    """One style's text on one prompt (behaviours §13): `{prompt}` is replaced wherever it stands, otherwise the
    non-empty trimmed parts are joined by ", " with the prompt first. The same rule serves the negative prompt."""
    if PLACEHOLDER in style_text:
        return style_text.replace(PLACEHOLDER, prompt)
    return ", ".join(part for part in (prompt.strip(), style_text.strip()) if part)


def apply_styles(style_texts: Iterable[str], prompt: str) -> str:
    """Several styles, each on the result of the one before."""
    for style_text in style_texts:
        prompt = apply_style(style_text, prompt)
    return prompt


def extract_style(style_text: str, prompt: str) -> tuple[bool, str]:
    """Whether `prompt` holds the style's text as `apply_style` would have put it there, and the prompt without it
    (behaviours §13; with two placeholders the first one counts)."""
    text = style_text.strip()
    if PLACEHOLDER in text:
        left, _, right = text.partition(PLACEHOLDER)
        if prompt.startswith(left) and prompt.endswith(right):
            return True, prompt[len(left) : len(prompt) - len(right)]
        return False, prompt
    if not prompt.endswith(text):
        return False, prompt
    return True, prompt[: len(prompt) - len(text)].removesuffix(", ")


def holds_style(style: Style, prompt: str, negative_prompt: str) -> bool:
    """Whether a picture of these texts was drawn with the style; one without texts leaves no trace."""
    both = extract_style(style.prompt, prompt)[0] and extract_style(style.negative_prompt, negative_prompt)[0]
    return both and not (is_blank(style.prompt) and is_blank(style.negative_prompt))


def style_key(name: str) -> str:
    """Equal for names that a person takes for the same: one user cannot have two of them."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def is_no_style(text: str) -> bool:
    return style_key(text) in (NO_STYLE.casefold(), "-")


def check_style_name(name: str) -> str:
    """The name as it will be shown, trimmed and with single spaces.

    1–60 visible characters, on one line, without the signs that mentions are made of.
    Raises UserFacingError: `style_name_empty`, `style_name_long`, `style_name_signs`, `style_name_none`.
    """
    cleaned = clean(name)
    shown = " ".join(cleaned.text.split())
    if not any(unicodedata.category(character)[0] in "LNPS" for character in shown):
        raise UserFacingError("style_name_empty")
    if len(shown) > MAX_NAME_CHARS:
        raise UserFacingError("style_name_long", limit=MAX_NAME_CHARS)
    if cleaned.altered or "\n" in cleaned.text or _MENTION_SIGNS & set(shown):
        raise UserFacingError("style_name_signs")
    if is_no_style(shown):
        raise UserFacingError("style_name_none")
    return shown


def make_style(name: str, prompt: str, negative_prompt: str = "", parameters: Parameters | None = None) -> Style:
    """A style from what a user typed. Raises UserFacingError: those of `check_style_name`, `style_empty`, `style_long`,
    `style_parameters`."""
    shown = check_style_name(name)
    prompt, negative_prompt = clean(prompt).text, clean(negative_prompt).text
    wishes = {} if parameters is None else {key: wish for key, wish in vars(parameters).items() if wish is not None}
    if is_blank(prompt) and is_blank(negative_prompt) and not wishes:
        raise UserFacingError("style_empty")
    if max(len(prompt), len(negative_prompt)) > MAX_TEXT_CHARS:
        raise UserFacingError("style_long", limit=MAX_TEXT_CHARS)
    try:
        chosen = StyleParameters.model_validate(wishes)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0]).replace("_", " ")
        raise UserFacingError("style_parameters", field=field) from error
    return Style(name=shown, prompt=prompt, negative_prompt=negative_prompt, parameters=chosen)


def style_from_spec(name: str, spec: JobSpec) -> Style:
    """ "Save as style" of a finished picture: its whole texts (LoRA tags included) and everything that gives the look.

    Seed and count are left out, for they belong to the picture, not to the look. Raises as `make_style`.
    """
    look = {name: getattr(parameters_of(spec), name) for name in StyleParameters.model_fields if name not in _NO_LOOK}
    return make_style(name, spec.prompt, spec.negative_prompt, Parameters(**look))
