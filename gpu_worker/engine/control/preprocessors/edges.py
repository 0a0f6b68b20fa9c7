"""Lines and edges: HED, PiDiNet, the three lineart networks, MLSD."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.control.preprocessors.look import Look, Maker, as_tensor, as_uint8, grey
from gpu_worker.engine.control.preprocessors.networks import aux, loaded
from gpu_worker.engine.control.preprocessors.plain import thinned

__all__ = ["EDGES"]

_SAFE_STEPS = 2
_ANIME_STEP_PX = 256
_MLSD_LINES, _MLSD_PEAK_PX = 200, 3


def _network(look: Look, make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    def load(path: Path, name: str) -> torch.nn.Module:
        return loaded(path, name, make)

    return look.annotators.borrow(look.file, load)


def _stepped(edge: Floats) -> Floats:
    """Few shades: lines that hide no texture of the picture."""
    return (edge * (_SAFE_STEPS + 1)).astype(np.int32).astype(np.float32) / np.float32(_SAFE_STEPS)


def _hed(look: Look, *, safe: bool = False) -> Picture:
    network = _network(look, lambda: aux("hed").ControlNetHED_Apache2())
    found = look.annotators.looked(
        lambda device: [edge[0, 0].float().cpu().numpy() for edge in network(as_tensor(look.seen, device))], network
    )
    height, width = look.seen.shape[:2]
    mean: Any = np.mean([cv2.resize(e, (width, height), interpolation=cv2.INTER_LINEAR) for e in found], axis=0)
    with np.errstate(over="ignore"):
        edge = 1 / (1 + np.exp(-mean.astype(np.float64)))
    return as_uint8((_stepped(edge) if safe else edge) * 255.0)


def _pidi(look: Look, *, safe: bool = False, sketch: bool = False) -> Picture:
    network = _network(look, lambda: aux("pidi.model").pidinet())
    mirrored = np.ascontiguousarray(look.seen[:, :, ::-1])
    edge: Any = look.annotators.looked(
        lambda device: network(as_tensor(mirrored, device) / 255.0)[-1][0, 0].cpu().numpy(), network
    )
    if sketch:
        edge = (edge > 0.5).astype(np.float32)
    return as_uint8((_stepped(edge) if safe else edge) * 255.0)


def _lineart(look: Look) -> Picture:
    network = _network(look, lambda: aux("lineart").Generator(3, 1, 3))
    line = look.annotators.looked(
        lambda device: network(as_tensor(look.seen, device) / 255.0)[0, 0].cpu().numpy(), network
    )
    return grey(255 - as_uint8(line * 255.0))


def _anime(look: Look) -> Picture:
    norm = functools.partial(torch.nn.InstanceNorm2d, affine=False, track_running_stats=False)
    network = _network(look, lambda: aux("lineart_anime").UnetGenerator(3, 1, 8, 64, norm_layer=norm))
    height, width = look.seen.shape[:2]
    sides = tuple(-(-side // _ANIME_STEP_PX) * _ANIME_STEP_PX for side in (width, height))
    seen: Any = cv2.resize(look.seen, sides, interpolation=cv2.INTER_CUBIC)
    line = look.annotators.looked(
        lambda device: (network(as_tensor(seen, device) / 127.5 - 1.0)[0, 0] * 127.5 + 127.5).cpu().numpy(), network
    )
    return grey(255 - as_uint8(cv2.resize(line, (width, height), interpolation=cv2.INTER_CUBIC)))


def _mlsd(look: Look) -> Picture:
    """Each line is a peak of the map, and where its ends lie from there; the map is half as large as the picture."""
    network = _network(look, lambda: aux("mlsd.models.mbv2_mlsd_large").MobileV2_MLSD_Large())
    ones = np.ones((*look.seen.shape[:2], 1), np.uint8)
    seen = np.concatenate([look.seen, ones], axis=2)
    decode = aux("mlsd.utils").deccode_output_score_and_ptss

    def work(device: torch.device) -> Any:
        return decode(network(as_tensor(seen, device) / 127.5 - 1.0), _MLSD_LINES, _MLSD_PEAK_PX)

    peaks, scores, ends = look.annotators.looked(work, network)
    drawn = np.zeros(look.seen.shape[:2], np.uint8)
    far = 4 * max(drawn.shape)
    for (y, x), score in zip(peaks, scores, strict=True):
        from_x, from_y, to_x, to_y = (float(value) for value in ends[y, x])
        if score > look.a and np.hypot(from_x - to_x, from_y - to_y) > look.b:
            line = 2 * np.array([x + from_x, y + from_y, x + to_x, y + to_y])
            if np.isfinite(line).all() and np.abs(line).max() < far:
                start_x, start_y, end_x, end_y = (int(value) for value in line)
                cv2.line(drawn, (start_x, start_y), (end_x, end_y), 255, 1)
    return grey(drawn)


EDGES: dict[str, Maker] = {
    "softedge_hed": lambda look: grey(_hed(look)),
    "softedge_hedsafe": lambda look: grey(_hed(look, safe=True)),
    "scribble_hed": lambda look: grey(thinned(_hed(look))),
    "softedge_pidinet": lambda look: grey(_pidi(look)),
    "softedge_pidisafe": lambda look: grey(_pidi(look, safe=True)),
    "scribble_pidinet": lambda look: grey(thinned(_pidi(look))),
    "t2ia_sketch_pidi": lambda look: grey(_pidi(look, sketch=True)),
    "lineart_realistic": _lineart,
    "lineart_coarse": _lineart,
    "lineart_anime": _anime,
    "mlsd": _mlsd,
}
