"""Finds faces and their five landmarks: RetinaFace (Deng et al., CVPR 2020) on a ResNet-50.

The network is laid out so that the weights load that A1111's users have, `detection_Resnet50_Final.pth`. The library
for that file, facexlib, is left out because of what it brings along: numba, the desktop build of OpenCV, downloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.faces.align import Landmarks
from gpu_worker.engine.upscale.load import bad_model, read_weights

__all__ = ["DETECTOR_NAME", "Face", "RetinaFace", "find_faces", "load_detector"]

DETECTOR_NAME = "detection_Resnet50_Final"
STEPS_PX = (8, 16, 32)
ANCHORS_PX = ((16, 32), (64, 128), (256, 512))
"""Sides of the two square anchors in each cell of the three levels."""
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
MEAN_BGR = (104.0, 117.0, 123.0)
FEATURES = 256

SHORT_SIDE_PX, LONG_SIDE_MAX_PX = 640, 2560
"""Pictures are brought to the former; a very long one less, so that memory is bounded."""
SCORE_MIN, OVERLAP_MAX = 0.97, 0.4
EYE_DISTANCE_MIN_PX = 5


@dataclass(frozen=True)
class Face:
    score: float
    landmarks: Landmarks
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Left, top, right, bottom in pixels of the picture, perhaps beyond its edges."""


class _Context(nn.Module):
    """Three views of a cell's surroundings, 3, 5 and 7 cells wide, side by side (SSH: Najibi et al., ICCV 2017)."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter = FEATURES // 2, FEATURES // 4
        self.conv3X3 = _convolution(FEATURES, half)
        self.conv5X5_1 = _convolution(FEATURES, quarter)
        self.conv5X5_2 = _convolution(quarter, quarter)
        self.conv7X7_2 = _convolution(quarter, quarter)
        self.conv7x7_3 = _convolution(quarter, quarter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wider = self.conv5X5_1(x).relu()
        widest = self.conv7x7_3(self.conv7X7_2(wider).relu())
        return torch.cat((self.conv3X3(x), self.conv5X5_2(wider), widest), dim=1).relu()


class _Pyramid(nn.Module):
    """Each level of features with what the coarser ones know (Lin et al., CVPR 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (_convolution(n, FEATURES, size=1) for n in (512, 1024, 2048))
        self.merge1, self.merge2 = (_convolution(FEATURES, FEATURES) for _ in range(2))

    def forward(self, fine: torch.Tensor, middle: torch.Tensor, coarse: torch.Tensor) -> list[torch.Tensor]:
        coarse = self.output3(coarse).relu()
        middle = self.output2(middle).relu()
        middle = self.merge2(middle + functional.interpolate(coarse, size=middle.shape[2:])).relu()
        fine = self.output1(fine).relu()
        return [self.merge1(fine + functional.interpolate(middle, size=fine.shape[2:])).relu(), middle, coarse]


class _Head(nn.Module):
    def __init__(self, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(FEATURES, 2 * values, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv1x1(x).permute(0, 2, 3, 1).reshape(-1, self.values)


class _Body(nn.Module):
    """ResNet-50 without its end."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50

        whole = resnet50(weights=None)
        self.conv1, self.bn1, self.maxpool = whole.conv1, whole.bn1, whole.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = whole.layer1, whole.layer2, whole.layer3, whole.layer4

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        fine = self.layer2(self.layer1(x))
        middle = self.layer3(fine)
        return fine, middle, self.layer4(middle)


class RetinaFace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = _Body()
        self.fpn = _Pyramid()
        self.ssh1, self.ssh2, self.ssh3 = _Context(), _Context(), _Context()
        self.ClassHead, self.BboxHead, self.LandmarkHead = (
            nn.ModuleList(_Head(values) for _ in STEPS_PX) for values in (2, 4, 10)
        )

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The score [n], the box [n, 4] and the landmarks [n, 10] of every anchor, the latter two as offsets from it.

        `pixels` are [1, 3, h, w], BGR, 0..255, less MEAN_BGR.
        """
        levels = self.fpn(*self.body(pixels))
        levels = [context(x) for context, x in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]
        scores, boxes, landmarks = (
            torch.cat([head(x) for head, x in zip(heads, levels, strict=True)])
            for heads in (self.ClassHead, self.BboxHead, self.LandmarkHead)
        )
        return scores.softmax(dim=1)[:, 1], boxes, landmarks


def load_detector(path: Path) -> RetinaFace:
    """On the CPU. Raises EngineError `bad_model`."""
    weights = read_weights(path, "face", DETECTOR_NAME)
    network = RetinaFace()
    try:
        network.load_state_dict({str(key).removeprefix("module."): value for key, value in weights.items()})
    except (RuntimeError, TypeError, AttributeError) as error:
        raise bad_model(path, repr(error), "face", DETECTOR_NAME, "unknown_layout") from error
    return network.float().eval().requires_grad_(False)


@torch.inference_mode()
def find_faces(network: RetinaFace, picture: Picture, least: float = SCORE_MIN) -> list[Face]:
    """All faces of more than that certainty, the surest first. The network says on which device."""
    height, width = picture.shape[:2]
    scale = min(SHORT_SIDE_PX / min(height, width), LONG_SIDE_MAX_PX / max(height, width))
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    pixels = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4), np.float32)[:, :, ::-1]
    x = torch.from_numpy((pixels - np.array(MEAN_BGR, np.float32)).transpose(2, 0, 1).copy())[None]
    device = next(network.parameters()).device
    scores, boxes, landmarks = network(x.to(device))
    likely = (scores > least).nonzero()[:, 0]
    anchors = _anchors(*size)[likely.cpu()].to(device)
    scores, boxes, landmarks = scores[likely], boxes[likely], landmarks[likely]
    corners = _corners(anchors, boxes)
    points = anchors[:, None, :2] + landmarks.view(-1, 5, 2) * CENTRE_VARIANCE * anchors[:, None, 2:]
    from torchvision.ops import nms

    kept = nms(corners, scores, OVERLAP_MAX)
    boxes = [(at[0], at[1], at[2], at[3]) for at in (corners[kept] / scale).tolist()]
    faces = zip(scores[kept].tolist(), (points[kept].cpu().numpy() / scale), boxes, strict=True)
    return [Face(score, points, box) for score, points, box in faces if _eye_distance(points) >= EYE_DISTANCE_MIN_PX]


def _anchors(width: int, height: int) -> torch.Tensor:
    """[n, 4]: middle, width and height in pixels, in the order of the heads' answers."""
    levels: list[torch.Tensor] = []
    for step, sides in zip(STEPS_PX, ANCHORS_PX, strict=True):
        rows, columns = -(-height // step), -(-width // step)
        y, x, side = torch.meshgrid(
            (torch.arange(rows) + 0.5) * step,
            (torch.arange(columns) + 0.5) * step,
            torch.tensor(sides, dtype=torch.float32),
            indexing="ij",
        )
        levels.append(torch.stack((x, y, side, side), dim=-1).view(-1, 4))
    return torch.cat(levels)


def _corners(anchors: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    middle = anchors[:, :2] + boxes[:, :2] * CENTRE_VARIANCE * anchors[:, 2:]
    size = anchors[:, 2:] * (boxes[:, 2:] * SIZE_VARIANCE).exp()
    return torch.cat((middle - size / 2, middle + size / 2), dim=1)


def _eye_distance(points: Landmarks) -> float:
    return float(np.linalg.norm(points[0] - points[1]))


def _convolution(inputs: int, outputs: int, size: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs))
