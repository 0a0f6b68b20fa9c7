"""Reads a LoRA-like file: LoRA, LoCon, LoHa, LoKr, (IA)3, GLoRA, OFT, BOFT, whole differences, norms and DoRA.

Keys as kohya-ss/sd-scripts, LyCORIS, diffusers and PEFT write them (behaviours §5.5, §5.6). What each kind is made of
is known by the names of its tensors; entries of no known kind are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from gpu_worker.engine.adapters.changes import Change, FullChange, Glora, Ia3, Loha, Lokr, LowRank
from gpu_worker.engine.adapters.key_names import place_of
from gpu_worker.engine.adapters.network_part import NetworkPart
from gpu_worker.engine.adapters.orthogonal import Butterfly, Orthogonal
from gpu_worker.engine.adapters.tensor_file import read_tensors
from gpu_worker.engine.errors import EngineError

__all__ = ["BUNDLE", "read_network"]

Tensor = torch.Tensor
Found = dict[str, Tensor]

BUNDLE = "bundle_emb."
"""Keys of embeddings that travel in a LoRA's file."""

_PLAIN = (
    "alpha", "scale", "dora_scale", "bias", "rescale", "diff", "diff_b", "w_norm", "b_norm", "weight", "on_input",
    "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "lokr_w1", "lokr_w1_a", "lokr_w1_b",
    "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "oft_blocks", "oft_diag",
)  # fmt: skip
_PARAMETERS = {name: name for name in _PLAIN} | {
    "lora_down.weight": "down", "lora_up.weight": "up", "lora_mid.weight": "mid",
    "lora_A.weight": "down", "lora_B.weight": "up", "down.weight": "down", "up.weight": "up",
    "a1.weight": "a1", "a2.weight": "a2", "b1.weight": "b1", "b2.weight": "b2",
    "lora_magnitude_vector": "magnitude", "lora_magnitude_vector.weight": "magnitude",
}  # fmt: skip
"""A key's last parts, by dots, and the name of the tensor they mean."""

_BEFORE_FACTORS = ("_lora", ".lora", ".lora_linear_layer")
"""What two generations of diffusers put between a module's name and `down.weight`."""
_SCALARS = ("alpha", "scale")


def read_network(name: str, path: Path) -> Sequence[NetworkPart]:
    """Every entry of a known kind. None at all only in a file of embeddings alone (`bundle_emb.`).

    Raises EngineError `bad_model` for a damaged file, one whose pickle holds more than tensors, or one of no known
    kind.
    """
    what = {"lora": name}
    tensors = read_tensors(path, what)
    groups: dict[str, Found] = {}
    for key, tensor in tensors.items():
        if not key.startswith(BUNDLE) and (split := _split(key)) is not None:
            groups.setdefault(split[0], {})[split[1]] = tensor
    try:
        parts = [part for base, found in groups.items() if (part := _part(base, found)) is not None]
    except ValueError as error:
        raise EngineError("bad_model", f"{path}: {error}", {**what, "problem": "corrupt"}) from error
    if not parts and not any(key.startswith(BUNDLE) for key in tensors):
        raise EngineError("bad_model", f"{path}: no entry of a known kind", {**what, "problem": "unknown_layout"})
    return parts


def _split(key: str) -> tuple[str, str] | None:
    """The module's part of a key, and which of its tensors this is; None for a key of no known kind."""
    pieces = key.split(".")
    if len(pieces) > 3 and pieces[-3] in ("lora_A", "lora_B"):
        del pieces[-2]  # PEFT's name of the adapter
    elif len(pieces) > 2 and pieces[-2] == "lora_magnitude_vector" and pieces[-1] != "weight":
        del pieces[-1]
    for count in (2, 1):
        tensor = _PARAMETERS.get(".".join(pieces[-count:])) if len(pieces) > count else None
        if tensor is None:
            continue
        base = ".".join(pieces[:-count])
        for ending in _BEFORE_FACTORS if tensor in ("up", "down") else ():
            base = base.removesuffix(ending)
        return base, tensor
    return None


def _part(base: str, found: Found) -> NetworkPart | None:
    """Raises ValueError for tensors that no trainer writes."""
    for kind, tensor in found.items():
        if kind not in ("on_input", *_SCALARS) and not tensor.is_floating_point():
            raise ValueError(f"{base}.{kind} is {tensor.dtype}")
    change = _change(found)
    bias = found.get("diff_b", found.get("b_norm"))
    if change is None and bias is None:
        return None
    magnitude = found.get("dora_scale")
    if "magnitude" in found:
        magnitude = found["magnitude"].reshape(-1)
    return NetworkPart(
        base, place_of(base), change, _scale(found, change), found.get("bias"), magnitude, bias
    )  # fmt: skip


def _change(found: Found) -> Change | None:
    """The first kind, in A1111's order, whose tensors are all there."""

    def has(*names: str) -> bool:
        return all(name in found for name in names)

    if has("up", "down"):
        return LowRank(found["up"], found["down"], found.get("mid"))
    if has("weight", "on_input"):
        return Ia3(found["weight"], bool(_number(found["on_input"])))
    if has("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"):
        w1, w2 = (found["hada_w1_a"], found["hada_w1_b"]), (found["hada_w2_a"], found["hada_w2_b"])
        return Loha(*w1, *w2, found.get("hada_t1"), found.get("hada_t2"))
    one, two = _whole_or_factors(found, "lokr_w1"), _whole_or_factors(found, "lokr_w2")
    if one is not None and two is not None:
        return Lokr(one, two, found.get("lokr_t2") if len(two) == 2 else None)
    for name in ("diff", "w_norm"):
        if has(name):
            return FullChange(found[name])
    if has("a1", "a2", "b1", "b2"):
        return Glora(found["a1"], found["a2"], found["b1"], found["b2"])
    return _orthogonal(found)


def _orthogonal(found: Found) -> Change | None:
    turned = "oft_blocks" not in found
    blocks = found.get("oft_diag" if turned else "oft_blocks")
    if blocks is None:
        return None
    # A1111 reads alpha as the constraint here.
    constraint = 0.0 if turned or "alpha" not in found else max(0.0, _number(found["alpha"]))
    kind = Butterfly if blocks.dim() == 4 else Orthogonal
    return kind(blocks, constraint, turned, found.get("rescale"))


def _whole_or_factors(found: Found, name: str) -> tuple[Tensor, ...] | None:
    if name in found:
        return (found[name],)
    factors = (found.get(f"{name}_a"), found.get(f"{name}_b"))
    return None if factors[0] is None or factors[1] is None else (factors[0], factors[1])


def _scale(found: Found, change: Change | None) -> float:
    if isinstance(change, Orthogonal | Butterfly):
        return 1.0
    if "scale" in found:
        return _number(found["scale"])
    rank = change.rank if change is not None and "alpha" in found else None
    return _number(found["alpha"]) / rank if rank else 1.0


def _number(tensor: Tensor) -> float:
    if tensor.numel() != 1 or not math.isfinite(value := float(tensor)):
        raise ValueError(f"{tuple(tensor.shape)} instead of a number")
    return value
