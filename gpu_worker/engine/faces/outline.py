"""Which part of a face's square is face: the parsing network of PSFRGAN (Chen et al., CVPR 2021).

Laid out so that `parsing_parsenet.pth` loads, which A1111's users have.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gpu_worker.engine.calls import Floats, Picture
from gpu_worker.engine.faces.align import FACE_PX
from gpu_worker.engine.upscale.load import bad_model, read_weights

__all__ = ["OUTLINE_NAME", "ParseNet", "load_outline", "outline_mask"]

OUTLINE_NAME = "parsing_parsenet"
LEVELS = 4
FEATURES = (64, 128, 256, 256, 256)
"""Channels from the full size down to 1/16."""
BLOCKS = 10
CLASSES = 19
NOT_FACE = (0, 14, 16, 17, 18)
"""Background, neck wear, cloth, hair and hat."""
BORDER_PX = 10
BLUR_SIGMA_PX, BLUR_KERNEL_PX = 11, 101


class _Layer(nn.Module):
    """Convolution with mirrored edges, `scale` times as large; with `norm` a batch norm behind it."""

    def __init__(self, inputs: int, outputs: int, scale: float = 1, norm: bool = False) -> None:
        super().__init__()
        self.up = scale > 1
        stride = 2 if scale < 1 else 1
        self.conv2d = nn.Conv2d(inputs, outputs, 3, stride, padding=1, padding_mode="reflect", bias=not norm)
        self.norm = nn.ModuleDict({"norm": nn.BatchNorm2d(outputs)} if norm else {})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv2d(functional.interpolate(x, scale_factor=2) if self.up else x)
        return self.norm["norm"](x) if self.norm else x


class _Block(nn.Module):
    """Two layers and a way around them; the first enlarges, or the second reduces."""

    def __init__(self, inputs: int, outputs: int, scale: float = 1) -> None:
        super().__init__()
        same = scale == 1 and inputs == outputs
        self.shortcut_func = nn.Identity() if same else _Layer(inputs, outputs, scale)
        self.conv1 = _Layer(inputs, outputs, max(1, scale), norm=True)
        self.conv2 = _Layer(outputs, outputs, min(1, scale), norm=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut_func(x) + self.conv2(functional.leaky_relu(self.conv1(x), 0.2))


class ParseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        down = [_Block(FEATURES[i], FEATURES[i + 1], 0.5) for i in range(LEVELS)]
        up = [_Block(FEATURES[i + 1], FEATURES[i], 2) for i in reversed(range(LEVELS))]
        self.encoder = nn.Sequential(_Layer(3, FEATURES[0]), *down)
        self.body = nn.Sequential(*(_Block(FEATURES[-1], FEATURES[-1]) for _ in range(BLOCKS)))
        self.decoder = nn.Sequential(*up)
        self.out_mask_conv = _Layer(FEATURES[0], CLASSES)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """From [n, 3, 512, 512] (RGB, -1..1) the likelihood of each class, [n, 19, 512, 512]."""
        features = self.encoder(pixels)
        return self.out_mask_conv(self.decoder(features + self.body(features)))


def load_outline(path: Path) -> ParseNet:
    """On the CPU. Raises EngineError `bad_model`."""
    weights = read_weights(path, "face", OUTLINE_NAME)
    network = ParseNet()
    try:
        # The file has a second end too, which draws the face once more.
        kept = {key: value for key, value in weights.items() if not str(key).startswith("out_img_conv.")}
        network.load_state_dict(kept)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise bad_model(path, repr(error), "face", OUTLINE_NAME, "unknown_layout") from error
    return network.float().eval().requires_grad_(False)


@torch.inference_mode()
def outline_mask(network: ParseNet, face: Picture) -> Floats:
    """[FACE_PX, FACE_PX] of 0..1, soft, 0 at the square's border."""
    device = next(network.parameters()).device
    x = torch.from_numpy(face.transpose(2, 0, 1).copy()).to(device).float()[None] / 127.5 - 1
    classes = network(x)[0].argmax(dim=0).cpu().numpy()
    mask = np.where(np.isin(classes, NOT_FACE), 0, 1).astype(np.float32)
    kernel = (BLUR_KERNEL_PX, BLUR_KERNEL_PX)
    for _ in range(2):
        mask = np.asarray(cv2.GaussianBlur(mask, kernel, BLUR_SIGMA_PX), np.float32)
    inside = np.zeros((FACE_PX, FACE_PX), np.float32)
    middle = slice(BORDER_PX, FACE_PX - BORDER_PX)
    inside[middle, middle] = mask[middle, middle]
    return inside
