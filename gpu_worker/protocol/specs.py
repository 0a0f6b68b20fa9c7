"""What a job asks the worker to draw: `JobSpec`, the part of an `Assign` that the engine reads.

Specs are frozen and complete: every default is resolved and the seed drawn before a job is stored, so the same spec
renders the same picture after a crash, on another worker, and years later from the database.
Unknown fields are ignored on the wire (a newer bot may talk to an older worker); ranges are refused, never clamped.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Hires", "ImageRef", "JobSpec", "RenderedSource", "Source", "StoredSource", "Txt2Img", "Variation"]

SEED_MAX = 2**64 - 1
SIZE_MIN_PX, SIZE_MAX_PX = 64, 2048


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Variation(Wire):
    """One step away from the seed's noise: slerp towards the noise of `seed` by `strength` (behaviours §6)."""

    seed: int = Field(ge=0, le=SEED_MAX)
    strength: float = Field(gt=0, le=1)


class ImageRef(Wire):
    """An input picture the bot put where the worker can read it; `ref` is an address of the transport, never a URL."""

    ref: str
    sha256: str
    mime: str
    size_bytes: int = Field(ge=1)


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
    lossless, the result equals A1111's hires fix with an image upscaler at the same seed.
    """

    scale: float = Field(default=2.0, gt=1, le=4)
    upscaler: str = "Lanczos"
    """`Lanczos`, `Nearest`, or one of the six `Latent…` modes of behaviours §8 (latent modes cannot take a source)."""
    steps: int = Field(default=0, ge=0, le=150)
    """0 means as many as the first pass."""
    denoising_strength: float = Field(default=0.5, gt=0, le=1)
    source: Source | None = None


class Txt2Img(Wire):
    """Text to pictures. `prompt` still holds `<lora:…>` tags; the engine reads and removes them (behaviours §5)."""

    kind: Literal["txt2img"] = "txt2img"
    prompt: str
    negative_prompt: str = ""
    checkpoint: str
    """Name as in the worker's model list, without folder or suffix."""
    width: int = Field(ge=SIZE_MIN_PX, le=SIZE_MAX_PX, multiple_of=8)
    height: int = Field(ge=SIZE_MIN_PX, le=SIZE_MAX_PX, multiple_of=8)
    steps: int = Field(default=20, ge=1, le=150)
    cfg_scale: float = Field(default=7.0, ge=1, le=30)
    sampler: str = "DPM++ 2M"
    schedule: str = "Automatic"
    clip_skip: int = Field(default=1, ge=1, le=12)
    seed: int = Field(ge=0, le=SEED_MAX)
    count: int = Field(default=1, ge=1, le=4)
    """Pictures to draw. Image i has seed+i; with variations the seed stays and the last variation's seed counts up."""
    variations: tuple[Variation, ...] = Field(default=(), max_length=16)
    """A path of slerps from the seed's noise; one entry is A1111's variation seed, more vary a variation."""
    hires: Hires | None = None


JobSpec = Txt2Img
"""Grows into a union discriminated by `kind` when a second task exists."""

RenderedSource.model_rebuild()
Hires.model_rebuild()
Txt2Img.model_rebuild()
