"""LoRAs merged into a checkpoint's file for good, by the same code that merges them for a drawing.

The networks are built without memory for their weights: they tell which module a LoRA's key means and what shape it has
there. The sums are made on the file's own tensors, one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch

from gpu_worker.convert.entries import Entry
from gpu_worker.convert.layout import EMA
from gpu_worker.convert.rows import Rows, rows_of, sum_dtype
from gpu_worker.convert.source import Source
from gpu_worker.convert.writer import Planned
from gpu_worker.engine.adapters.merge import MergeOrder, merge_orders
from gpu_worker.engine.adapters.modules import ModuleBook
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.checkpoints.checkpoint import Family, TextEncoder
from gpu_worker.engine.checkpoints.libraries import libraries
from gpu_worker.engine.checkpoints.networks import filled
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.families.text import TextPart, text_config, text_parts, text_weights
from gpu_worker.engine.families.unet import UNET_PREFIX, unet_config
from gpu_worker.language.layouts import type_of

__all__ = ["baked_rows"]

Tensor = torch.Tensor


@dataclass(frozen=True)
class _Spot:
    """Where a module's parameter lies in the file: the whole tensor, some of its rows, or all of it transposed."""

    key: str
    rows: slice | None = None
    transposed: bool = False

    def lay(self, tensor: Tensor, shape: tuple[int, ...], change: Callable[[Tensor], None]) -> None:
        """`tensor` is the file's, in contiguous float32; `change` is given what the module has, in its shape."""
        if self.transposed:
            total = tensor.T.contiguous()
            change(total)
            tensor.copy_(total.T)
        else:
            change((tensor if self.rows is None else tensor[self.rows]).view(shape))


@dataclass(frozen=True)
class _Skeleton:
    """What `ModuleBook` reads of a checkpoint, on no device."""

    unet: Any
    text_encoders: tuple[TextEncoder, ...]
    spots: Mapping[int, Mapping[str, _Spot]]
    """By the id of a module, by the name of its parameter."""


def baked_rows(source: Source, networks: Sequence[AppliedNetwork]) -> Rows:
    """Raises EngineError `bad_model`, or `bad_input` (`lora_misfit`, `lora_bias`)."""
    skeleton = _skeleton(source)
    orders = merge_orders(ModuleBook(skeleton), source.name, networks)
    changes: dict[str, list[tuple[_Spot, tuple[int, ...], Callable[[Tensor], None]]]] = {}
    for module, order in orders.items():
        spots = skeleton.spots[module]
        for parameter, changed, change in _changes(order):
            if not changed:
                continue
            spot = spots.get(parameter)
            if spot is None:
                detail = {"reason": "lora_misfit", "lora": networks[0].ref.name, "checkpoint": source.name}
                raise EngineError("bad_input", f"{source.path} has no place for a {parameter}", detail)
            shape = tuple(getattr(order.target.module, parameter).shape)
            changes.setdefault(spot.key, []).append((spot, shape, change))
    rows = rows_of(source, lambda key: not key.startswith(EMA))
    for key, wanted in changes.items():
        own = rows[key].entry.dtype
        made = Entry(rows[key].entry.shape, sum_dtype(own))
        rows[key] = Planned(made, lambda key=key, wanted=wanted, made=made: _sum(source, key, made, wanted), own)
    return rows


def _changes(order: MergeOrder) -> tuple[tuple[Literal["weight", "bias"], bool, Callable[[Tensor], None]], ...]:
    return (
        ("weight", order.changes_weight, order.merge_weight),
        ("bias", order.changes_bias, order.merge_bias),
    )


def _sum(
    source: Source, key: str, made: Entry, wanted: Sequence[tuple[_Spot, tuple[int, ...], Callable[[Tensor], None]]]
) -> Tensor:
    tensor = source.read(key).to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    for spot, shape, change in wanted:
        spot.lay(tensor, shape, change)
    return tensor.to(made.dtype)


def _skeleton(source: Source) -> _Skeleton:
    detail = {"checkpoint": source.name}
    known = type_of(source.shapes)
    if known is None or f"{UNET_PREFIX}input_blocks.0.0.weight" not in source.entries:
        raise EngineError("bad_model", f"{source.path}", {**detail, "problem": "unsupported"})
    family = cast("Family", known[0])
    # Tensors that are nothing but their shape; which is which is told by the object itself.
    tags = {key: torch.empty(shape, device="meta") for key, shape in source.shapes.items()}
    keys = {id(tag): key for key, tag in tags.items()}
    spots: dict[int, Mapping[str, _Spot]] = {}
    lib = libraries()
    try:
        config = unet_config(source.shapes, family)
        weights = lib.convert_unet({k: t for k, t in tags.items() if k.startswith(UNET_PREFIX)}, config)
        unet = filled(lambda: lib.UNet2DConditionModel(**config), weights)
        spots |= _spots(unet, {name: _Spot(keys[id(tag)]) for name, tag in weights.items()})
        encoders: list[TextEncoder] = []
        for part in text_parts(family, source.shapes):
            found = text_weights(part, {k: t for k, t in tags.items() if k.startswith(part.prefix)})
            shell = lib.CLIPTextConfig(**text_config(part.kind, found))
            network = lib.CLIPTextModelWithProjection if part.projects else lib.CLIPTextModel
            places = {name: _text_spot(part, name, tag, keys) for name, tag in found.items()}
            if part.projects:
                found = {_projecting(name): tag for name, tag in found.items()}
                places = {_projecting(name): spot for name, spot in places.items()}
            model = filled(lambda network=network, shell=shell: network(shell), found)
            spots |= _spots(model, places)
            encoders.append(TextEncoder(part.kind, model, None, 0))
    except (LookupError, ValueError, TypeError, RuntimeError, AttributeError, StopIteration) as error:
        raise EngineError("bad_model", f"{source.path}: {error!r}", {**detail, "problem": "corrupt"}) from error
    return _Skeleton(unet, tuple(encoders), spots)


def _projecting(name: str) -> str:
    return name if name.startswith("text_projection.") else f"text_model.{name}"


def _text_spot(part: TextPart, name: str, tag: Tensor, keys: Mapping[int, str]) -> _Spot:
    """OpenCLIP's query, key and value are rows of one tensor, and its projection multiplies from the other side."""
    if (key := keys.get(id(tag))) is not None:
        return _Spot(key)
    if name == "text_projection.weight":
        return _Spot(f"{part.prefix}text_projection", transposed=True)
    *_, number, _, module, kind = name.split(".")
    width, place = tag.shape[0], "qkv".index(module[0])
    key = f"{part.prefix}transformer.resblocks.{number}.attn.in_proj_{kind}"
    return _Spot(key, slice(place * width, (place + 1) * width))


def _spots(network: Any, places: Mapping[str, _Spot]) -> dict[int, dict[str, _Spot]]:
    found: dict[int, dict[str, _Spot]] = {}
    for name, module in network.named_modules():
        own = {p: spot for p in ("weight", "bias") if (spot := places.get(f"{name}.{p}")) is not None}
        if own:
            found[id(module)] = own
    return found
