"""The infotext of a picture, written anew: from its job, and from what a worker says only what it alone can know.

That is hashes, whose form is checked, and names that stand in the job already. So nobody's machine can put words into
a picture that everybody sees as somebody's prompt.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from gpu_worker.language.control_fields import map_fields
from gpu_worker.language.infotext import build_infotext, parse_fields, parse_infotext
from gpu_worker.language.names import SamplerChoice, resolve_sampler
from gpu_worker.language.picture_fields import DrawnWith, extras_fields, picture_fields
from gpu_worker.language.ultimate_fields import ultimate_fields
from gpu_worker.protocol.specs import Img2Img, JobSpec, Preprocess, StoredSource, Ultimate, Upscale

__all__ = ["drawing_text", "extras_text", "map_text"]

_VERSION = re.compile(r"Pincel [0-9][0-9A-Za-z.+-]{0,30}")
_HASH = re.compile(r"[0-9a-f]{8,64}")
_TITLE = re.compile(r"(.*) \[([0-9a-f]{8,64})\]")
_CONTROL_MODEL = re.compile(r"Model: (.+ \[[0-9a-f]{8,64}\]), Weight: ")
FIELD_CHARS_MAX = 8_000
"""Of a field of the worker's: what looks through it takes longer than it is long."""
HASHES_MAX = 256
_VAE_FILE = re.compile(r"[^\x00-\x1f/\\]{1,200}\.(safetensors|ckpt|pt|bin)")


def drawing_text(spec: JobSpec, said: str, tiled: Ultimate | None = None) -> str:
    """Of one picture of `spec`, whose own request that is (`picture_spec`). `said` is the worker's."""
    fields = {key: value[:FIELD_CHARS_MAX] for key, value in parse_infotext(said).fields.items()}
    own = picture_fields(spec, spec.seed, spec.variations, _drawn_with(spec, fields))
    if tiled is not None:
        own |= ultimate_fields(tiled)
    return build_infotext(spec.prompt, spec.negative_prompt, own | _version(fields))


def extras_text(spec: Upscale, said: str) -> str:
    return build_infotext("", "", extras_fields(spec) | _version(parse_fields(said)))


def map_text(spec: Preprocess, said: str) -> str:
    return build_infotext("", "", map_fields(spec) | _version(parse_fields(said)))


def _drawn_with(spec: JobSpec, fields: Mapping[str, str]) -> DrawnWith:
    return DrawnWith(
        sampler=resolve_sampler(spec.sampler, spec.schedule) or SamplerChoice(spec.sampler, spec.schedule),
        model_name=_same(fields.get("Model"), spec.checkpoint),
        model_hash=_hash(fields.get("Model hash")),
        vae=_vae(spec, fields),
        lora_hashes=_named_hashes(spec, fields.get("Lora hashes")),
        embedding_hashes=_named_hashes(spec, fields.get("TI hashes")),
        hires_checkpoint_hash=_title_hash(fields.get("Hires checkpoint")),
        refiner_hash=_title_hash(fields.get("Refiner")),
        init_image_hash=_source_hash(spec, fields.get("Init image hash")),
        inpainting="Conditional mask weight" in fields,
        edits="Image CFG scale" in fields,
        control_models=[
            _control_model(unit.model, fields.get(f"ControlNet {n}")) for n, unit in enumerate(spec.control)
        ],
    )


def _version(fields: Mapping[str, str]) -> dict[str, str]:
    said = fields.get("Version", "")
    return {"Version": said} if _VERSION.fullmatch(said) else {}


def _same(said: str | None, known: str) -> str:
    """The worker's spelling of a name that is the same but for its case."""
    return said if said is not None and said.casefold() == known.casefold() else known


def _hash(said: str | None) -> str | None:
    return said if said is not None and _HASH.fullmatch(said) else None


def _title_hash(said: str | None) -> str | None:
    found = _TITLE.fullmatch(said or "")
    return found[2] if found else None


def _control_model(known: str, said: str | None) -> str:
    found = _CONTROL_MODEL.search(said or "")
    title = _TITLE.fullmatch(found[1]) if found else None
    return title[0] if title is not None and title[1].casefold() == known.casefold() else known


def _vae(spec: JobSpec, fields: Mapping[str, str]) -> tuple[str, str | None] | None:
    """The file of the one that was asked for, or one that is named after the checkpoint."""
    said, wish = fields.get("VAE", ""), spec.vae
    if wish == "None" or _VAE_FILE.fullmatch(said) is None:
        return None
    automatic = wish.lower() in ("", "automatic", "auto")
    fits = said.startswith(spec.checkpoint) if automatic else wish in (said, said.rpartition(".")[0])
    return (said, _hash(fields.get("VAE hash"))) if fits else None


def _named_hashes(spec: JobSpec, said: str | None) -> list[tuple[str, str]]:
    """Of names that stand in the job."""
    if not said:
        return []
    words = repr(spec).casefold()
    found = itertools.islice(_names_and_hashes(said), HASHES_MAX)
    return [(name, digest) for name, digest in found if repr(name)[1:-1].casefold() in words]


def _names_and_hashes(said: str) -> Iterator[tuple[str, str]]:
    """Of `name: hash, name: hash`; a name may hold what stands between two."""
    begun: list[str] = []
    for part in said.split(", "):
        name, _, digest = part.rpartition(": ")
        if _HASH.fullmatch(digest) is None:
            begun.append(part)
        elif whole := ", ".join((*begun, name)):
            yield whole, digest
            begun = []


def _source_hash(spec: JobSpec, said: str | None) -> str | None:
    """A second pass names its source where that is of another size than the drawing, which the worker saw."""
    if isinstance(spec, Img2Img):
        return spec.image.sha256[:10]
    source = spec.hires.source if spec.hires else None
    if isinstance(source, StoredSource) and said == source.image.sha256[:10]:
        return said
    return None
