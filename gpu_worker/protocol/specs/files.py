"""Work on model files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gpu_worker.protocol.specs.base import Share, Wire
from gpu_worker.protocol.specs.drawings import Txt2Img

__all__ = [
    "BakeSpec", "BakedLora", "ConvertSpec", "FileSpec", "FileTask", "MergeSpec", "Parts", "Precision", "Treatment",
]  # fmt: skip

Precision = Literal["keep", "fp32", "fp16", "bf16"]
"""Of the numbers that are written; `keep` leaves each as it is."""
Treatment = Literal["convert", "copy", "delete"]
"""`copy` keeps a part's own precision."""
OutputName = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^/\\:*?\"<>|\x00-\x1f]+$")]
"""A file's name without folder and suffix."""
KeyPattern = Annotated[str, Field(min_length=1, max_length=120)]


class Parts(Wire):
    """What becomes of a checkpoint's parts (Model Converter, behaviours §12.5)."""

    unet: Treatment = "convert"
    text_encoder: Treatment = "convert"
    vae: Treatment = "convert"
    other: Treatment = "convert"


class FileTask(Wire):
    """Work on model files: the result is a new .safetensors file, never another version of an old one."""

    output: OutputName
    precision: Precision = "fp16"
    vae: str | None = None
    """A VAE by name that is baked in, instead of the checkpoint's own."""
    fix_clip: bool = True
    """The text model's position ids become whole numbers, 0 to 76, again, which merges elsewhere may have spoilt."""
    discard: tuple[KeyPattern, ...] = Field(default=(), max_length=16)
    """Keys that are left out, with `*` and `?` as in file names."""
    size_bytes: int = Field(default=0, ge=0)
    """Of all files that are read, as the bot knows them; work units are reckoned from it."""
    owner: int | None = None
    """The server that the result belongs to; None: it is the operator's. For the bot alone, as is `preview`."""
    preview: Txt2Img | None = None
    """What the bot draws with the result; the checkpoint it names is replaced by the new one."""

    @property
    def work_units(self) -> float:
        """GiB that are read; at least a little, so that a speed can be learnt."""
        return max(0.01, self.size_bytes / 2**30)


class ConvertSpec(FileTask):
    """One file, written anew (behaviours §12.5)."""

    kind: Literal["convert"] = "convert"
    model: str
    """Name as in the worker's model list."""
    model_kind: Literal[
        "checkpoint", "vae", "lora", "embedding", "controlnet", "upscaler", "face", "annotator", "tagger",
        "preview", "detector",
    ] = "checkpoint"  # fmt: skip
    weights: Literal["all", "no-ema", "ema-only"] = "no-ema"
    parts: Parts = Parts()
    """Of checkpoints alone; `Parts(vae="delete")` removes the VAE."""


class MergeSpec(FileTask):
    """Checkpoints merged as in A1111's Checkpoint Merger (behaviours §12.5): with `multiplier` m, `weighted sum` is
    A(1 - m) + B m, `add difference` A + (B - C) m, `no interpolation` A alone."""

    kind: Literal["merge"] = "merge"
    method: Literal["weighted sum", "add difference", "no interpolation"] = "weighted sum"
    first: str
    second: str | None = None
    third: str | None = None
    multiplier: Share = 0.3

    @model_validator(mode="after")
    def _whole(self) -> MergeSpec:
        needed = {"weighted sum": (True, False), "add difference": (True, True), "no interpolation": (False, False)}
        if (self.second is not None, self.third is not None) != needed[self.method]:
            raise ValueError(f"{self.method} takes other checkpoints")
        return self


class BakedLora(Wire):
    name: str
    unet: float = Field(default=1.0, ge=-4, le=4)
    text_encoder: float = Field(default=1.0, ge=-4, le=4)


class BakeSpec(FileTask):
    """LoRAs merged into a checkpoint for good, as a drawing merges them for a while."""

    kind: Literal["bake"] = "bake"
    checkpoint: str
    loras: tuple[BakedLora, ...] = Field(min_length=1, max_length=8)


FileSpec = ConvertSpec | MergeSpec | BakeSpec
