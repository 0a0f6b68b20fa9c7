"""The infotext of a drawn picture (behaviours §22), of an upscaled one (§20), and of a map."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from gpu_worker.engine.sampling.noise import ImageSeed
from gpu_worker.language.control_fields import map_fields
from gpu_worker.language.infotext import build_infotext
from gpu_worker.language.names import SamplerChoice
from gpu_worker.language.picture_fields import DrawnWith, OwnKey, extras_fields, picture_fields
from gpu_worker.language.ultimate_fields import ultimate_fields
from gpu_worker.protocol.specs import Img2Img, Preprocess, StoredSource, Txt2Img, Ultimate, Upscale

__all__ = ["VARIATION_PATH", "Record", "map_infotext", "picture_infotext", "upscale_infotext"]

VARIATION_PATH = OwnKey.VARIATION_PATH


@dataclass(frozen=True)
class Record:
    """What a job's pictures have in common beside the spec; hashes are hexadecimal sha256, whole or their beginning."""

    spec: Txt2Img | Img2Img
    sampler: SamplerChoice
    model_hash: str | None
    model_name: str = ""
    """Empty: the spec's checkpoint."""
    vae: tuple[str, str | None] | None = None
    """File name with extension and hash of a VAE that is not the checkpoint's own."""
    lora_hashes: tuple[tuple[str, str], ...] = ()
    embedding_hashes: tuple[tuple[str, str], ...] = ()
    source_size: tuple[int, int] | None = None
    """Width and height in pixels of a stored source picture."""
    hires_checkpoint_hash: str | None = None
    refiner_hash: str | None = None
    inpainting: bool = False
    """The checkpoint sees mask and masked picture."""
    edits: bool = False
    """An instruct-pix2pix checkpoint."""
    control_models: tuple[str, ...] = ()
    """Name and old hash of each control unit's model."""
    tiled: Ultimate | None = None
    """What was drawn tile by tile; `spec` is then that of a tile."""


def picture_infotext(
    record: Record, seed: ImageSeed, *, prompt: str | None = None, negative_prompt: str | None = None
) -> str:
    """`prompt` and `negative_prompt` are those of this one picture where they are not the spec's."""
    spec = record.spec
    found = DrawnWith(
        sampler=record.sampler,
        model_name=record.model_name or spec.checkpoint,
        model_hash=record.model_hash,
        vae=record.vae,
        lora_hashes=record.lora_hashes,
        embedding_hashes=record.embedding_hashes,
        hires_checkpoint_hash=record.hires_checkpoint_hash,
        refiner_hash=record.refiner_hash,
        init_image_hash=_source_hash(record),
        inpainting=record.inpainting,
        edits=record.edits,
        control_models=record.control_models,
    )
    fields = picture_fields(spec, seed.seed, seed.variations, found)
    if record.tiled is not None:
        fields |= ultimate_fields(record.tiled)
    fields |= {"Version": f"Pincel {_version()}"}
    return build_infotext(
        spec.prompt if prompt is None else prompt,
        spec.negative_prompt if negative_prompt is None else negative_prompt,
        fields,
    )


def upscale_infotext(spec: Upscale) -> str:
    """What was done, without prompts: A1111 keeps it apart from the source's own text (PNG keyword `extras`)."""
    return build_infotext("", "", extras_fields(spec) | {"Version": f"Pincel {_version()}"})


def map_infotext(spec: Preprocess) -> str:
    """How a map was made, without prompts, by the words of a control unit (behaviours §17.6)."""
    return build_infotext("", "", map_fields(spec) | {"Version": f"Pincel {_version()}"})


def _source_hash(record: Record) -> str | None:
    """A second pass names its source only where that was no plain first pass of this size: otherwise the text alone
    draws it again."""
    spec = record.spec
    if isinstance(spec, Img2Img):
        return spec.image.sha256[:10]
    if spec.hires and isinstance(spec.hires.source, StoredSource) and record.source_size != (spec.width, spec.height):
        return spec.hires.source.image.sha256[:10]
    return None


def _version() -> str:
    try:
        return version("pincel")
    except PackageNotFoundError:
        return "0.1.0"  # run from the checkout, not installed
