"""A spec with everything that it names found among the model files, or the reason why it cannot be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpu_worker.engine.checkpoints.vae_choice import choose_vae
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.models import ModelFile
from gpu_worker.language.names import SamplerChoice, resolve_sampler
from gpu_worker.language.networks import (
    LoraRef,
    NetworkTag,
    NetworkTagError,
    lora_refs,
    parse_networks,
    resolve_networks,
)
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.language.regions import is_whole, networks_of_parts
from gpu_worker.protocol.messages import ModelKind
from gpu_worker.protocol.specs import ControlUnit, Drawing, Regions, Txt2Img

__all__ = ["Finder", "Networks", "Order", "PassOrder"]

UNSUPPORTED_NETWORKS = frozenset({"hypernet"})
"""Kinds that change the picture in A1111; tags of unknown kinds do nothing there and are left out here, too."""

Networks = tuple[tuple[LoraRef, ModelFile], ...]
Tags = tuple[NetworkTag, ...]


@dataclass(frozen=True)
class PassOrder:
    """One denoising pass."""

    model: ModelFile
    vae: ModelFile | None
    """None is the checkpoint's own."""
    sampler: SamplerChoice
    prompt: str
    """Without network tags."""
    negative_prompt: str
    networks: Networks
    parts: tuple[Networks, ...] = ()
    """Of each part of an `AND`, where they are not the same for all: those for all and its own."""

    @property
    def every_network(self) -> Networks:
        every = (*self.networks, *(each for part in self.parts for each in part))
        return tuple({ref: (ref, file) for ref, file in every}.values())


@dataclass(frozen=True)
class Order:
    spec: Drawing
    first: PassOrder
    second: PassOrder | None
    """Of a hires fix."""
    refiner: ModelFile | None
    adapter: ModelFile | None
    """Of pictures that are read as prompts."""
    control: tuple[ModelFile, ...]
    """Of each control unit."""
    embeddings: tuple[ModelFile, ...]
    """All that are there; which of them a prompt names is seen when it is read."""


class Finder:
    """Errors are EngineError: `missing_model` and `bad_model` name the kind of model; `bad_input` what is wrong with
    `sampler` and `schedule`, `network` or `lora`."""

    def __init__(self, scan: Callable[[], Sequence[ModelFile]]) -> None:
        self._scan = scan

    def find(self, kind: ModelKind, name: str) -> ModelFile:
        return _find(self._scan(), kind, name)

    def order(self, spec: Drawing) -> Order:
        models = self._scan()
        first = _pass(models, spec, spec.checkpoint, spec.sampler, spec.schedule, spec.prompt, spec.negative_prompt)
        second = None
        if isinstance(spec, Txt2Img) and spec.hires is not None:
            hires = spec.hires
            second = _pass(
                models,
                spec,
                hires.checkpoint or spec.checkpoint,
                hires.sampler or spec.sampler,
                hires.schedule or first.sampler.schedule,
                hires.prompt or spec.prompt,
                hires.negative_prompt or spec.negative_prompt,
            )
        return Order(
            spec=spec,
            first=first,
            second=second,
            refiner=_find(models, "checkpoint", spec.refiner.checkpoint) if spec.refiner else None,
            adapter=_adapter(models, spec.image_prompts.adapter) if spec.image_prompts else None,
            control=tuple(_control(models, unit) for unit in spec.control),
            embeddings=tuple(m for m in models if m.fact.kind == "embedding" and m.fact.problem is None),
        )


def _pass(
    models: Sequence[ModelFile],
    spec: Drawing,
    checkpoint: str,
    sampler: str,
    schedule: str,
    prompt: str,
    negative_prompt: str,
) -> PassOrder:
    choice = resolve_sampler(sampler, schedule)
    if choice is None:
        raise EngineError("bad_input", f"no sampler {sampler}", {"sampler": sampler, "schedule": schedule})
    text, tags = parse_networks(prompt)
    parts: tuple[Networks, ...] = ()
    if spec.regions is not None and spec.regions.loras_apart:
        tags, apart = _shared(prompt, spec.regions)
        parts = tuple(_networks(models, own) for own in apart)
    networks = _networks(models, tags)
    model = _find(models, "checkpoint", checkpoint)
    vae = choose_vae(spec.vae, model, [m for m in models if m.fact.kind == "vae"])
    return PassOrder(model, vae, choice, text, negative_prompt, networks, parts)


def _shared(prompt: str, regions: Regions) -> tuple[Tags, tuple[Tags, ...]]:
    """The tags for all: of the parts that count in the whole picture; and for each part these and its own."""
    parts = networks_of_parts(prompt)
    areas = regions.areas
    whole = [at >= len(areas) or is_whole(areas[at]) for at in range(len(parts))]
    shared = tuple(tag for tags, everywhere in zip(parts, whole, strict=True) if everywhere for tag in tags)
    return shared, tuple(
        shared if everywhere else shared + tags for tags, everywhere in zip(parts, whole, strict=True)
    )  # fmt: skip


def _networks(models: Sequence[ModelFile], tags: Tags) -> Networks:
    foreign = next((tag for tag in tags if tag.kind.lower() in UNSUPPORTED_NETWORKS), None)
    if foreign is not None:
        detail = {"network": f"{foreign.kind}:{foreign.items[0]}", "reason": "network_kind"}
        raise EngineError("bad_input", f"no networks of kind {foreign.kind}", detail)
    try:
        refs = lora_refs(tags)
    except NetworkTagError as error:
        detail = {"lora": error.name, "reason": "lora_tag"}
        raise EngineError("bad_input", f"unreadable tag of {error.name}", detail) from error
    loras = [model for model in models if model.fact.kind == "lora"]
    found, missing = resolve_networks(refs, [(model.fact.name, model.fact.alias) for model in loras])
    if missing:
        raise EngineError("missing_model", f"no lora {missing[0]}", {"lora": missing[0]})
    return tuple((ref, _usable(loras[index])) for index, ref in found)


def _adapter(models: Sequence[ModelFile], name: str) -> ModelFile:
    found = _find(models, "controlnet", name)
    if found.fact.variant != "ip_adapter":
        detail = {"controlnet": name, "reason": "no_image_adapter"}
        raise EngineError("bad_input", f"{found.path}: no IP-Adapter", detail)
    return found


def _control(models: Sequence[ModelFile], unit: ControlUnit) -> ModelFile:
    found = _find(models, "controlnet", unit.model)
    if found.fact.variant in ("ip_adapter", "lllite"):
        detail = {"controlnet": unit.model, "reason": "no_control_model"}
        raise EngineError("bad_input", f"{found.path}: {found.fact.variant}", detail)
    if find_preprocessor(unit.preprocessor) is None:
        detail = {"preprocessor": unit.preprocessor, "reason": "preprocessor"}
        raise EngineError("bad_input", f"no preprocessor {unit.preprocessor}", detail)
    return found


def _find(models: Sequence[ModelFile], kind: ModelKind, name: str) -> ModelFile:
    found = next((model for model in models if model.fact.kind == kind and model.fact.name == name), None)
    if found is None:
        raise EngineError("missing_model", f"no {kind} {name}", {kind: name})
    return _usable(found)


def _usable(model: ModelFile) -> ModelFile:
    problem = model.fact.problem
    if problem is not None:
        detail = {model.fact.kind: model.fact.name, "problem": problem}
        raise EngineError("bad_model", f"{model.path}: {problem}", detail)
    return model
