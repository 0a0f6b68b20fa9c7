"""Annotators in their published layouts, with weights that mean nothing.

Each tensor is one number for each entry of its first axis, repeated over the others, so that the large ones take no
room in memory; in files every number must be there (language/pickles.py refuses others), so those are for small ones.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gpu_worker.engine.control.preprocessors.networks import aux, built
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import ModelFact

__all__ = ["FILES", "SMALL", "annotator", "content_of", "weights_of", "write_annotator"]


def _anime() -> torch.nn.Module:
    norm = functools.partial(torch.nn.InstanceNorm2d, affine=False, track_running_stats=False)
    made: torch.nn.Module = aux("lineart_anime").UnetGenerator(3, 1, 8, 64, norm_layer=norm)
    return made


def _bae() -> torch.nn.Module:
    wanted = types.SimpleNamespace(architecture="BN", sampling_ratio=0.4, importance_ratio=0.7)
    made: torch.nn.Module = aux("normalbae.nets.NNET").NNET(wanted)
    return made


def _zoe() -> torch.nn.Module:
    config = aux("zoe.zoedepth.utils.config").get_config("zoedepth", "infer")
    made: torch.nn.Module = aux("zoe.zoedepth.models.zoedepth.zoedepth_v1").ZoeDepth.build_from_config(config)
    return made


def _plain(weights: dict[str, torch.Tensor]) -> Any:
    return weights


def _below(wrapper: str, prefix: str = "") -> Callable[[dict[str, torch.Tensor]], Any]:
    return lambda weights: {"epoch": 1, wrapper: {prefix + key: value for key, value in weights.items()}}


def _unstaged(weights: dict[str, torch.Tensor]) -> Any:
    return {key.partition(".")[2]: value for key, value in weights.items()}


FILES: dict[str, tuple[str, Callable[[], torch.nn.Module], Callable[[dict[str, torch.Tensor]], Any]]] = {
    "ControlNetHED": (".pth", lambda: aux("hed").ControlNetHED_Apache2(), _plain),
    "table5_pidinet": (".pth", lambda: aux("pidi.model").pidinet(), _below("state_dict", "module.")),
    "sk_model": (".pth", lambda: aux("lineart").Generator(3, 1, 3), _plain),
    "sk_model2": (".pth", lambda: aux("lineart").Generator(3, 1, 3), _plain),
    "netG": (".pth", _anime, lambda weights: {f"module.{key}": value for key, value in weights.items()}),
    "mlsd_large_512_fp32": (".pth", lambda: aux("mlsd.models.mbv2_mlsd_large").MobileV2_MLSD_Large(), _plain),
    "body_pose_model": (".pth", lambda: aux("open_pose.model").bodypose_model(), _unstaged),
    "hand_pose_model": (".pth", lambda: aux("open_pose.model").handpose_model(), _unstaged),
    "facenet": (".pth", lambda: aux("open_pose.face").FaceNet(), _plain),
    "scannet": (".pt", _bae, _below("model")),
    "dpt_hybrid-midas-501f0c75": (
        ".pt",
        lambda: aux("midas.midas.dpt_depth").DPTDepthModel(path=None, backbone="vitb_rn50_384", non_negative=True),
        _plain,
    ),
    "res101": (
        ".pth",
        lambda: aux("leres.leres.multi_depth_model_woauxi").RelDepthModel(backbone="resnext101"),
        _below("depth_model", "module."),
    ),
    "ZoeD_M12_N": (".pt", _zoe, _below("model")),
}
SMALL = ("ControlNetHED", "table5_pidinet", "sk_model", "sk_model2", "mlsd_large_512_fp32")


def weights_of(name: str) -> dict[str, torch.Tensor]:
    """By the network's own keys."""
    random = torch.Generator().manual_seed(len(name))
    return {key: _weight(key, value, random) for key, value in built(FILES[name][1]).state_dict().items()}


def content_of(name: str) -> Any:
    """What is in the file."""
    return FILES[name][2](weights_of(name))


def write_annotator(folder: Path, name: str, change: Callable[[dict[str, torch.Tensor]], None] | None = None) -> Path:
    """`change` damages the weights in their own keys."""
    weights = {key: value.clone(memory_format=torch.contiguous_format) for key, value in weights_of(name).items()}
    if change is not None:
        change(weights)
    path = folder / f"{name}{FILES[name][0]}"
    torch.save(FILES[name][2](weights), path)
    return path


def annotator(path: Path) -> ModelFile:
    return ModelFile(ModelFact(kind="annotator", name=path.stem), path, path)


def _weight(key: str, value: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    if not value.is_floating_point():
        return torch.zeros_like(value)
    if value.ndim == 0:
        return torch.tensor(0.5)
    if key.endswith("running_var") or (value.ndim == 1 and key.endswith("weight")):
        return torch.ones(1).expand(value.shape)
    spread = (3.0 / max(1, value[0].numel())) ** 0.5 if value.ndim > 1 else 0.1
    column = (torch.rand(value.shape[0], generator=random) - 0.5) * 2 * spread
    return column.reshape(-1, *[1] * (value.ndim - 1)).expand(value.shape)
