"""What is drawn with a checkpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gpu_worker.protocol.specs.base import (
    OUTPUT_MAX_PX,
    SEED_MAX,
    SIZE_MAX_PX,
    SIZE_MIN_PX,
    CfgScale,
    FaceRestore,
    ImagePrompts,
    ImageRef,
    NoiseSide,
    Refiner,
    Share,
    Steps,
    Template,
    Texts,
    Variation,
    Wire,
)
from gpu_worker.protocol.specs.control import ControlUnit
from gpu_worker.protocol.specs.details import DETAILS_MAX, DetailFix
from gpu_worker.protocol.specs.regions import Regions

__all__ = [
    "Drawing", "Extend", "Hires", "Img2Img", "JobSpec", "Mask", "RenderedSource", "Source", "StoredSource", "Txt2Img",
]  # fmt: skip


class StoredSource(Wire):
    """The second pass starts from this stored picture."""

    type: Literal["stored"] = "stored"
    image: ImageRef


class RenderedSource(Wire):
    """The stored picture is gone: the worker draws it again from its recorded spec, then goes on."""

    type: Literal["rendered"] = "rendered"
    spec: Txt2Img


Source = Annotated[StoredSource | RenderedSource, Field(discriminator="type")]


class Hires(Wire):
    """A second denoising pass at a larger size (behaviours §8).

    Without `source` the first pass is drawn first. With it the first pass is skipped: because that pass's picture is
    lossless, the result equals A1111's hires fix with an image upscaler at the same seed. None means "as the first
    pass".
    """

    scale: float = Field(default=2.0, ge=1, le=4)
    resize_width: int = Field(default=0, ge=0, le=OUTPUT_MAX_PX)
    resize_height: int = Field(default=0, ge=0, le=OUTPUT_MAX_PX)
    """A target in pixels instead of `scale`; with one of them 0 the other follows the aspect (behaviours §8.1)."""
    upscaler: str = "Lanczos"
    """`None`, `Lanczos`, `Nearest`, one of the six `Latent…` modes of behaviours §8 (these cannot take a source), or an
    upscaler model by name."""
    steps: int = Field(default=0, ge=0, le=150)
    """0 means as many as the first pass."""
    denoising_strength: float = Field(default=0.5, gt=0, le=1)
    sampler: str | None = None
    schedule: str | None = None
    checkpoint: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    source: Source | None = None
    tile_px: int = Field(default=0, ge=0, le=SIZE_MAX_PX)
    """The second pass in overlapping tiles of this side, for what is too large to be drawn at once; 0 draws it whole.
    Not for the `Latent…` modes."""


class Drawing(Wire):
    """What every drawing has. `prompt` still holds `<lora:…>` tags; the engine reads and removes them (§5)."""

    prompt: str
    negative_prompt: str = ""
    checkpoint: str
    """Name as in the worker's model list, without folder or suffix."""
    vae: str = "Automatic"
    """`Automatic` (one paired with the checkpoint by name, else its own), `None` (its own), or a VAE file's name."""
    width: int = Field(ge=SIZE_MIN_PX, le=SIZE_MAX_PX, multiple_of=8)
    height: int = Field(ge=SIZE_MIN_PX, le=SIZE_MAX_PX, multiple_of=8)
    steps: Steps = 20
    cfg_scale: CfgScale = 7.0
    sampler: str = "DPM++ 2M"
    schedule: str = "Automatic"
    clip_skip: int = Field(default=1, ge=1, le=12)
    seed: int = Field(ge=0, le=SEED_MAX)
    count: int = Field(default=1, ge=1, le=16)
    """Pictures to draw. Image i has seed+i; with variations the seed stays and the last variation's seed counts up."""
    batch_size: int = Field(default=0, ge=0, le=16)
    """How many are drawn at once; 0 takes all. It changes memory and time, never a picture."""
    variations: tuple[Variation, ...] = Field(default=(), max_length=16)
    """A path of slerps from the seed's noise; one entry is A1111's variation seed, more vary a variation."""
    seed_resize: tuple[NoiseSide, NoiseSide] | None = None
    """Width and height in pixels whose noise is laid into the middle of this size's (behaviours §6)."""
    noise_source: Literal["GPU", "CPU", "NV"] = "GPU"
    """Where A1111 would draw its noise; GPU and NV are Philox here, on every device."""
    ensd: int = Field(default=0, ge=-(2**32), le=2**32)
    emphasis: Literal["Original", "No norm", "Ignore", "None"] = "Original"
    old_prompt_editing: bool = False
    """A1111 before 1.6: both passes of a hires fix run through the prompt's edits from the start."""
    tiling: bool = False
    face_restore: FaceRestore | None = None
    refiner: Refiner | None = None
    ngms: float = Field(default=0.0, ge=0, le=15)
    """Below this sigma every second call leaves the negative prompt out (A1111's s_min_uncond)."""
    eta: float | None = Field(default=None, ge=0, le=1)
    """None is the sampler's own: 1 for ancestral ones, 0 for DDIM."""
    s_churn: float = Field(default=0.0, ge=0, le=100)
    s_tmin: float = Field(default=0.0, ge=0, le=100)
    s_tmax: float = Field(default=0.0, ge=0, le=1000)
    """0 means no bound."""
    s_noise: float = Field(default=1.0, ge=0, le=2)
    sigma_min: float = Field(default=0.0, ge=0, le=100)
    sigma_max: float = Field(default=0.0, ge=0, le=1000)
    rho: float = Field(default=0.0, ge=0, le=100)
    """Overrides of the schedule's ends and curve; 0 keeps its own."""
    discard_penultimate: bool = False
    zero_terminal_snr: bool = False
    downcast_alphas: bool = False
    texts: tuple[Texts, ...] = Field(default=(), max_length=16)
    """One for each picture, in order; the first's are `prompt` and `negative_prompt`, too. Empty: these are everyone's.
    Nothing but texts differs, though a text may name other LoRAs."""
    template: Template | None = None
    image_prompts: ImagePrompts | None = None
    control: tuple[ControlUnit, ...] = Field(default=(), max_length=4)
    regions: Regions | None = None
    details: tuple[DetailFix, ...] = Field(default=(), max_length=DETAILS_MAX)
    """What is found in the picture and drawn once more, one unit after the other, after its faces were restored."""

    @model_validator(mode="after")
    def _a_text_for_each(self) -> Drawing:
        if self.texts and len(self.texts) != self.count:
            raise ValueError(f"{len(self.texts)} texts for {self.count} pictures")
        return self


class Txt2Img(Drawing):
    """Text to pictures."""

    kind: Literal["txt2img"] = "txt2img"
    hires: Hires | None = None


class Mask(Wire):
    """Where to repaint (behaviours §9.3): white, or opaque in a picture with transparency."""

    image: ImageRef
    blur: int = Field(default=4, ge=0, le=64)
    invert: bool = False
    """A1111's "Inpaint not masked"."""
    content: Literal["fill", "original", "latent noise", "latent nothing"] = "original"
    only_masked: bool = False
    padding_px: int = Field(default=32, ge=0, le=256)
    prompt: str = Field(default="", max_length=200)
    """Words instead of a painted mask: drawn again is what they name, as the checkpoint itself sees it. `image` is then
    not read."""


class Extend(Wire):
    """Outpainting: pixels of new canvas at each side of the picture."""

    left: int = Field(default=0, ge=0, le=SIZE_MAX_PX)
    right: int = Field(default=0, ge=0, le=SIZE_MAX_PX)
    top: int = Field(default=0, ge=0, le=SIZE_MAX_PX)
    bottom: int = Field(default=0, ge=0, le=SIZE_MAX_PX)


class Img2Img(Drawing):
    """A picture, or a part of it, drawn again (behaviours §9). With `extend` width and height are those afterwards."""

    kind: Literal["img2img"] = "img2img"
    image: ImageRef
    denoising_strength: Share = 0.75
    resize_mode: Literal["Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)"] = (
        "Just resize"
    )
    exact_steps: bool = False
    """Draw just `steps` steps instead of about `steps * denoising_strength`."""
    mask: Mask | None = None
    extend: Extend | None = None
    color_correction: bool = False
    mask_weight: Share = 1.0
    """How far an inpainting checkpoint is kept from seeing what lies under the mask (behaviours §10)."""
    image_cfg_scale: float = Field(default=1.5, ge=0, le=10)
    """For instruct-pix2pix checkpoints alone."""
    noise_multiplier: float = Field(default=1.0, ge=0, le=1.5)
    extra_noise: Share = 0.0
    details_only: bool = False
    """The picture stays as it is, at its own size, but for what `details` find in it. Width and height are then the
    size at which a find is drawn; what else is said of the drawing counts for finds alone."""


JobSpec = Txt2Img | Img2Img
"""Drawings that the bot makes."""

RenderedSource.model_rebuild()
Hires.model_rebuild()
Txt2Img.model_rebuild()
