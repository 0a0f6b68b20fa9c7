"""Depth and surface: MiDaS, LeReS, ZoE, Normal BAE."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.control.preprocessors.look import Look, Maker, as_tensor, as_uint8, grey
from gpu_worker.engine.control.preprocessors.networks import aux, loaded

__all__ = ["DEPTHS"]

_STEEPNESS = np.pi * 2.0
_ZOE_NEAR, _ZOE_FAR = 2, 85
"""Percentiles."""
_NO_RANGE = 1e-9
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BAE = types.SimpleNamespace(
    mode="client", architecture="BN", pretrained="scannet", sampling_ratio=0.4, importance_ratio=0.7
)


def _network(look: Look, make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    def load(path: Path, name: str) -> torch.nn.Module:
        return loaded(path, name, make)

    return look.annotators.borrow(look.file, load)


def _midas(look: Look) -> tuple[Floats, Floats]:
    """As the network says it, and from 0 (far) to 1."""
    network = _network(
        look,
        lambda: aux("midas.midas.dpt_depth").DPTDepthModel(path=None, backbone="vitb_rn50_384", non_negative=True),
    )
    raw: Any = look.annotators.looked(
        lambda device: network(as_tensor(look.seen, device) / 127.5 - 1.0)[0].cpu().numpy(), network
    )
    raised = raw - raw.min()
    return raw, raised / max(float(raised.max()), _NO_RANGE)


def _depth_midas(look: Look) -> Picture:
    return grey(as_uint8(_midas(look)[1] * 255.0))


def _normal_midas(look: Look) -> Picture:
    raw, shares = _midas(look)
    x: Any = cv2.Sobel(raw, cv2.CV_32F, 1, 0, ksize=3)
    y: Any = cv2.Sobel(raw, cv2.CV_32F, 0, 1, ksize=3)
    x[shares < look.a] = 0
    y[shares < look.a] = 0
    normal = np.stack([x, y, np.full_like(x, _STEEPNESS)], axis=2)
    normal /= np.sum(normal**2.0, axis=2, keepdims=True) ** 0.5
    return np.ascontiguousarray(as_uint8(normal * 127.5 + 127.5)[:, :, ::-1])


def _leres(look: Look) -> Picture:
    network = _network(look, lambda: aux("leres.leres.multi_depth_model_woauxi").RelDepthModel(backbone="resnext101"))
    estimate = aux("leres.leres.depthmap").estimateleres
    height, width = look.seen.shape[:2]
    depth = look.annotators.looked(lambda _: estimate(look.seen, network, width, height), network)
    span = float(depth.max() - depth.min())
    levels = 65535 * (depth - depth.min()) / span if span > np.finfo(float).eps else np.zeros(depth.shape)
    shade: Any = cv2.convertScaleAbs(levels.astype(np.uint16), alpha=255.0 / 65535.0)
    if look.a:
        shade = cv2.threshold(shade, look.a / 100 * 255, 255, cv2.THRESH_TOZERO)[1]
    shade = 255 - shade
    if look.b:
        shade = cv2.threshold(shade, look.b / 100 * 255, 255, cv2.THRESH_TOZERO)[1]
    return grey(shade)


def _zoe_network() -> torch.nn.Module:
    config = aux("zoe.zoedepth.utils.config").get_config("zoedepth", "infer")
    made: torch.nn.Module = aux("zoe.zoedepth.models.zoedepth.zoedepth_v1").ZoeDepth.build_from_config(config)
    return made


def _zoe(look: Look) -> Picture:
    network: Any = _network(look, _zoe_network)
    depth: Any = look.annotators.looked(
        lambda device: network.infer(as_tensor(look.seen, device) / 255.0)[0, 0].cpu().numpy(), network
    )
    near, far = np.percentile(depth, _ZOE_NEAR), np.percentile(depth, _ZOE_FAR)
    return grey(as_uint8((1.0 - (depth - near) / max(float(far - near), _NO_RANGE)) * 255.0))


def _normal_bae(look: Look) -> Picture:
    network = _network(look, lambda: aux("normalbae.nets.NNET").NNET(_BAE))

    def work(device: torch.device) -> Any:
        mean, deviation = (torch.tensor(values, device=device)[:, None, None] for values in _IMAGENET)
        normal = network((as_tensor(look.seen, device) / 255.0 - mean) / deviation)[0][-1][:, :3]
        return ((normal + 1) * 0.5).clip(0, 1)[0].permute(1, 2, 0).cpu().numpy()

    return as_uint8(look.annotators.looked(work, network) * 255.0)


DEPTHS: dict[str, Maker] = {
    "depth_midas": _depth_midas, "depth_leres": _leres, "depth_zoe": _zoe, "normal_midas": _normal_midas,
    "normal_bae": _normal_bae,
}  # fmt: skip
