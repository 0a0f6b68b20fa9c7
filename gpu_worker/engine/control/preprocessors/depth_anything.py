"""Depth Anything, both versions: transformers' network, weights in the authors' own layout.

Of whatever size (small, base, large): that is read off the weights. Where a picture goes in, sd-webui-controlnet's
numbers hold; as there, colours go in as BGR.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.preprocessors.look import Look, Maker, as_uint8, grey
from gpu_worker.engine.control.preprocessors.networks import Third, Weights, loaded_by_shapes

__all__ = ["DEPTH_ANYTHING"]

_SIDE_PX, _PATCH_PX, _HEAD = 518, 14, 64
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NO_RANGE = 1e-9
_QKV = "qkv"
_LAYER = r"backbone\.encoder\.layer\.(\d+)\."
_RENAMED = tuple(
    (re.compile(pattern), template)
    for pattern, template in (
        (r"backbone\.embeddings\.patch_embeddings\.projection\.", "pretrained.patch_embed.proj."),
        (r"backbone\.embeddings\.position_embeddings", "pretrained.pos_embed"),
        (r"backbone\.embeddings\.", "pretrained."),
        (_LAYER + r"attention\.o_proj\.", r"pretrained.blocks.\1.attn.proj."),
        (_LAYER + r"layer_scale(\d)\.lambda1", r"pretrained.blocks.\1.ls\2.gamma"),
        (_LAYER, r"pretrained.blocks.\1."),
        (r"backbone\.layernorm\.", "pretrained.norm."),
        (r"neck\.reassemble_stage\.layers\.(\d)\.projection\.", r"depth_head.projects.\1."),
        (r"neck\.reassemble_stage\.layers\.(\d)\.resize\.", r"depth_head.resize_layers.\1."),
        (r"head\.conv1\.", "depth_head.scratch.output_conv1."),
        (r"head\.conv2\.", "depth_head.scratch.output_conv2.0."),
        (r"head\.conv3\.", "depth_head.scratch.output_conv2.2."),
    )
)
_THIRD = re.compile(_LAYER + r"attention\.([qkv])_proj\.(weight|bias)")
_CONV = re.compile(r"neck\.convs\.(\d)\.")
_FUSION = re.compile(r"neck\.fusion_stage\.layers\.(\d)\.(projection|residual_layer(\d)\.convolution(\d))\.")


def _published(key: str) -> str | Third:
    if third := _THIRD.fullmatch(key):
        return Third(f"pretrained.blocks.{third[1]}.attn.qkv.{third[3]}", _QKV.index(third[2]))
    if conv := _CONV.match(key):
        return f"depth_head.scratch.layer{int(conv[1]) + 1}_rn.{key[conv.end() :]}"
    if fusion := _FUSION.match(key):
        net = f"depth_head.scratch.refinenet{4 - int(fusion[1])}"
        inner = "out_conv" if fusion[2] == "projection" else f"resConfUnit{fusion[3]}.conv{fusion[4]}"
        return f"{net}.{inner}.{key[fusion.end() :]}"
    for pattern, template in _RENAMED:
        if pattern.match(key):
            return pattern.sub(template, key, count=1)
    return key


def _network(weights: Weights, *, second: bool) -> torch.nn.Module:
    """Version 2 looks at four layers spread over the whole, version 1 at the last four."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    width = weights["pretrained.cls_token"].shape[-1]
    depth = 1 + max(int(key.split(".")[2]) for key in weights if key.startswith("pretrained.blocks."))
    sides = [weights[f"depth_head.projects.{at}.weight"].shape[0] for at in range(4)]
    fused = weights["depth_head.scratch.layer1_rn.weight"].shape[0]
    spread = [depth * part // 4 for part in range(1, 5)] if depth != 24 else [5, 12, 18, 24]
    spread = [3, 6, 9, 12] if depth == 12 else spread
    config = DepthAnythingConfig(
        backbone_config=Dinov2Config(
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=max(1, width // _HEAD),
            image_size=_SIDE_PX,
            patch_size=_PATCH_PX,
            out_indices=spread if second else list(range(max(1, depth - 3), depth + 1)),  # pyright: ignore[reportCallIssue]
            apply_layernorm=True,
            reshape_hidden_states=False,
        ),
        patch_size=_PATCH_PX,
        reassemble_hidden_size=width,
        neck_hidden_sizes=sides,
        fusion_hidden_size=fused,
        head_hidden_size=weights["depth_head.scratch.output_conv2.0.weight"].shape[0],
    )
    made: torch.nn.Module = DepthAnythingForDepthEstimation(config)
    return made


def _load(path: Path, name: str, *, second: bool) -> torch.nn.Module:
    return loaded_by_shapes(path, name, functools.partial(_network, second=second), _published)


def _sides(height: int, width: int) -> tuple[int, int]:
    """Neither below 518, multiples of a patch."""
    factor = max(_SIDE_PX / height, _SIDE_PX / width)

    def fitted(side: int) -> int:
        return max(round(side * factor / _PATCH_PX) * _PATCH_PX, _SIDE_PX)

    return fitted(height), fitted(width)


def _depth(look: Look, *, second: bool) -> Picture:
    network: Any = look.annotators.borrow(look.file, functools.partial(_load, second=second))
    height, width = look.seen.shape[:2]
    rows, columns = _sides(height, width)
    mirrored = look.seen[:, :, ::-1].astype(np.float32) / 255
    seen: Any = cv2.resize(mirrored, (columns, rows), interpolation=cv2.INTER_CUBIC)
    seen = (seen - np.array(_MEAN, np.float32)) / np.array(_DEVIATION, np.float32)
    pixels = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)))[None]

    def work(device: torch.device) -> Any:
        found = network(pixel_values=pixels.to(device)).predicted_depth[:, None].float()
        return torch.nn.functional.interpolate(found, (height, width), mode="bilinear")[0, 0].cpu().numpy()

    found = look.annotators.looked(work, network)
    span = max(float(found.max() - found.min()), _NO_RANGE)
    return grey(as_uint8((found - found.min()) / span * 255.0))


DEPTH_ANYTHING: dict[str, Maker] = {
    "depth_anything": functools.partial(_depth, second=False),
    "depth_anything_v2": functools.partial(_depth, second=True),
}
