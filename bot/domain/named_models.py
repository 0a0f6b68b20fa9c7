"""Which model files a recorded request names: what rules are asked about, and what counts as used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bot.domain.models import AUTOMATIC_VAE, NONE, UPSCALERS
from bot.domain.scripts import Script, ScriptSpec
from gpu_worker.language.detectors import FACES, FACES_FILE
from gpu_worker.language.networks import NetworkTagError, lora_refs, parse_networks
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.protocol.messages import ModelFact, ModelKind
from gpu_worker.protocol.specs import (
    Caption,
    Describe,
    JobSpec,
    PictureTask,
    Preprocess,
    Sheet,
    Train,
    Txt2Img,
    Ultimate,
    Upscale,
)

__all__ = ["Named", "embeddings_in", "loras_in", "models_of"]

Named = tuple[ModelKind, str]


def models_of(spec: JobSpec | PictureTask | Sheet | ScriptSpec | Train, facts: Sequence[ModelFact] = ()) -> list[Named]:
    """Kind and name, each once, the checkpoint first. `facts` are needed to know embeddings, which stand in a prompt
    as plain words, and a LoRA by its alias. A VAE that the worker chooses by itself is not among them."""
    if isinstance(spec, Script):
        return models_of(spec.base, facts)
    if isinstance(spec, Sheet):
        return list(dict.fromkeys(named for cell in spec.cells for named in models_of(cell, facts)))
    if isinstance(spec, Ultimate):
        upscaler: list[Named] = [("upscaler", spec.upscaler)] if spec.upscaler not in UPSCALERS else []
        return [*models_of(spec.drawing, facts), *upscaler]
    if isinstance(spec, Describe | Caption):
        return [("tagger", spec.tagger)]
    if isinstance(spec, Train):
        vae: list[Named] = [("vae", spec.vae)] if spec.vae not in (AUTOMATIC_VAE, NONE) else []
        return [("checkpoint", spec.checkpoint), *vae]
    if isinstance(spec, Preprocess):
        return list(dict.fromkeys(named for each in spec.maps for named in _annotators(each.preprocessor, facts)))
    if isinstance(spec, Upscale):
        return [("upscaler", name) for name in (spec.upscaler, spec.upscaler_2) if name not in UPSCALERS]
    found: dict[Named, None] = {("checkpoint", spec.checkpoint): None}
    texts = [spec.prompt, spec.negative_prompt]
    texts += [text for own in spec.texts for text in (own.prompt, own.negative_prompt)]
    if spec.refiner:
        found["checkpoint", spec.refiner.checkpoint] = None
    if spec.vae not in (AUTOMATIC_VAE, NONE):
        found["vae", spec.vae] = None
    if isinstance(spec, Txt2Img) and spec.hires:
        hires = spec.hires
        texts += [hires.prompt or "", hires.negative_prompt or ""]
        if hires.checkpoint:
            found["checkpoint", hires.checkpoint] = None
        if hires.upscaler not in UPSCALERS:
            found["upscaler", hires.upscaler] = None
    if spec.image_prompts is not None:
        found["controlnet", spec.image_prompts.adapter] = None
    for unit in spec.control:
        found["controlnet", unit.model] = None
        found |= dict.fromkeys(_annotators(unit.preprocessor, facts))
    for detail in spec.details:
        found[("face", FACES_FILE) if detail.model == FACES else ("detector", detail.model)] = None
        texts += [detail.prompt, detail.negative_prompt]
    aliases = {fact.alias: fact.name for fact in facts if fact.kind == "lora" and fact.alias}
    names = {fact.name for fact in facts if fact.kind == "lora"}
    for text in texts:
        for name in loras_in(text):
            found["lora", name if name in names else aliases.get(name, name)] = None
    for name in embeddings_in(" ".join(texts), facts):
        found["embedding", name] = None
    return list(found)


def _annotators(preprocessor: str, facts: Sequence[ModelFact]) -> list[Named]:
    """By the names in the list, which hold no suffix of the published files."""
    entry = find_preprocessor(preprocessor)
    wanted = {name.casefold() for name in entry.files} if entry is not None else set[str]()
    return [("annotator", fact.name) for fact in facts if fact.kind == "annotator" and fact.name.casefold() in wanted]


def embeddings_in(text: str, facts: Iterable[ModelFact]) -> list[str]:
    """Names of the embeddings that a text calls, as far as one can tell without a tokenizer: whole words, of which the
    longest name counts that is there."""
    known = {fact.name: _spaced(fact.name) for fact in facts if fact.kind == "embedding"}
    words = f" {_spaced(text)} " if known else ""
    called = set[str]()
    for name, spaced in sorted(known.items(), key=lambda entry: -len(entry[1])):
        if spaced and f" {spaced} " in words:
            called.add(name)
            words = words.replace(f" {spaced} ", " , ")
    return [name for name in known if name in called]


_PIECES = re.compile(r"[^\W\d_]+|\d|[^\s,()\[\]{}:|<>\\]")
"""What CLIP's tokenizer keeps apart: letters, each digit, other signs; without those that prompts are written with."""


def _spaced(text: str) -> str:
    return " ".join(_PIECES.findall(text.casefold()))


def loras_in(text: str) -> list[str]:
    """As a text's tags call them: by name or alias."""
    try:
        return [ref.name for ref in lora_refs(parse_networks(text)[1])]
    except NetworkTagError:  # a record of another version; the worker says what is wrong with it
        return []
