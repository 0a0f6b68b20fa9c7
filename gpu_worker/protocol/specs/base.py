"""What several kinds of job are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "OUTPUT_MAX_PX", "SEED_MAX", "SIZE_MAX_PX", "SIZE_MIN_PX", "CfgScale", "FaceRestore", "ImagePrompt", "ImagePrompts",
    "ImageRef", "NoiseSide", "Refiner", "Share", "Steps", "Template", "Texts", "Variation", "Wire",
]  # fmt: skip

SEED_MAX = 2**64 - 1
SIZE_MIN_PX, SIZE_MAX_PX = 64, 2048
OUTPUT_MAX_PX = 4096

Share = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=1, le=150)]
NoiseSide = Annotated[int, Field(ge=8, le=SIZE_MAX_PX)]
CfgScale = Annotated[float, Field(ge=1, le=30)]


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Variation(Wire):
    """One step away from the seed's noise: slerp towards the noise of `seed` by `strength` (behaviours §6)."""

    seed: int = Field(ge=0, le=SEED_MAX)
    strength: float = Field(gt=0, le=1)


class Texts(Wire):
    """What one picture of a job is drawn from, where its pictures differ."""

    prompt: str
    negative_prompt: str = ""


class Template(Wire):
    """The dynamic prompt that texts were drawn from (behaviours §19): a record, and what a reroll draws from."""

    prompt: str
    negative_prompt: str = ""
    combinatorial: bool = False
    """Every combination was asked for, not a random one for each picture."""


class ImageRef(Wire):
    """An input picture the bot put where the worker can read it; `ref` is an address of the transport, never a URL."""

    ref: str
    sha256: str
    mime: str
    size_bytes: int = Field(ge=1)


class FaceRestore(Wire):
    """Restore faces (behaviours §21)."""

    model: Literal["GFPGAN", "CodeFormer"] = "CodeFormer"
    visibility: Share = 1.0
    weight: Share = 0.5
    """CodeFormer's own: 0 has the strongest effect."""


class Refiner(Wire):
    """A second checkpoint takes over for the last part of a pass."""

    checkpoint: str
    switch_at: Share = 0.8


class ImagePrompt(Wire):
    """A picture that is read like a prompt."""

    image: ImageRef
    weight: float = Field(default=1.0, ge=0, le=2)


class ImagePrompts(Wire):
    """Pictures through an IP-Adapter (behaviours §17): what they show and how, never their pixels."""

    adapter: str
    """A control model of the variant `ip_adapter`, by its name in the worker's model list."""
    pictures: tuple[ImagePrompt, ...] = Field(min_length=1, max_length=5)
    start: Share = 0.0
    end: Share = 1.0
    """Shares of the pass between which they count."""
