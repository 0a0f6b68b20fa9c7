"""Lines of drawn pictures without their screen tones: the residual network of "Deep Extraction of Manga Structural
Lines" (Li, Liu, Wong, 2017) in the published layout of its PyTorch weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.control.preprocessors.look import Look, Maker, as_uint8, grey
from gpu_worker.engine.control.preprocessors.networks import loaded

__all__ = ["MANGA_LINES", "MangaNet"]

_DOWN = ((24, 2), (48, 3), (96, 5), (192, 7), (384, 12))
"""Channels and blocks of each level."""
_LAST = (16, 2)


class _Convolved(nn.Module):
    def __init__(self, given: int, made: int, side: int = 3, stride: int = 1, *, grows: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.BatchNorm2d(given, eps=1e-3),
            nn.LeakyReLU(0.2),
            nn.Conv2d(given, made, side, stride, side // 2),
        ]
        self.model = nn.Sequential(*layers, *([nn.Upsample(scale_factor=2)] if grows else []))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.model(x)
        return made


class _Shortcut(nn.Module):
    def __init__(self, given: int, made: int, stride: int = 1, *, grows: bool = False) -> None:
        super().__init__()
        self.model: nn.Module | None = None
        if given != made or stride != 1:
            grown = [nn.Upsample(scale_factor=2)] if grows else []
            self.model = nn.Sequential(nn.Conv2d(given, made, 1, stride), *grown)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return y + (x if self.model is None else self.model(x))


class _Block(nn.Module):
    def __init__(self, given: int, made: int, stride: int = 1, *, grows: bool = False) -> None:
        super().__init__()
        self.conv1 = _Convolved(given, made, stride=stride, grows=grows)
        self.residual = _Convolved(made, made)
        self.shortcut = _Shortcut(given, made, stride, grows=grows)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.shortcut(x, self.residual(self.conv1(x)))
        return made


class _Level(nn.Module):
    def __init__(self, given: int, made: int, blocks: int, *, halves: bool = False, grows: bool = False) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *(
                _Block(
                    given if at == 0 else made, made, 2 if halves and at == blocks - 1 else 1, grows=grows and at == 0
                )
                for at in range(blocks)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.model(x)
        return made


class MangaNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        given = 1
        for at, (made, blocks) in enumerate(_DOWN):
            self.add_module(f"block{at}", _Level(given, made, blocks, halves=at > 0))
            given = made
        for at, (made, blocks) in enumerate(reversed(_DOWN[:-1]), start=1):
            self.add_module(f"block{at + 4}", _Level(given, made, blocks, grows=True))
            self.add_module(f"res{at}", _Shortcut(made, made))
            given = made
        self.block9 = _Level(given, _LAST[0], _LAST[1])
        self.conv15 = _Convolved(_LAST[0], 1, side=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts: Any = dict(self.named_children())
        seen: list[torch.Tensor] = []
        for at in range(len(_DOWN)):
            x = parts[f"block{at}"](x)
            seen.append(x)
        for at in range(1, len(_DOWN)):
            x = parts[f"res{at}"](seen[-1 - at], parts[f"block{at + 4}"](x))
        made: torch.Tensor = self.conv15(self.block9(x))
        return made


def _load(path: Path, name: str) -> torch.nn.Module:
    return loaded(path, name, MangaNet)


def _lines(look: Look) -> Picture:
    network = look.annotators.borrow(look.file, _load)
    flat: Any = cv2.cvtColor(look.seen, cv2.COLOR_RGB2GRAY)
    pixels = torch.from_numpy(np.ascontiguousarray(flat)).float()[None, None]
    line: Any = look.annotators.looked(lambda device: network(pixels.to(device))[0, 0].cpu().numpy(), network)
    return grey(as_uint8(255 - line))


MANGA_LINES: dict[str, Maker] = {"lineart_anime_denoise": _lines}
