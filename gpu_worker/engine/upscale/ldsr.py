"""LDSR: a latent diffusion model that enlarges four times (Rombach et al., CVPR 2022), run as A1111 runs it: DDIM with
eta 1, the small picture beside the latent in every call, in overlapping patches (behaviours §20).

The noise is always the same, so that a picture is always enlarged the same way; A1111's is whatever comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.memory import free, is_out_of_memory
from gpu_worker.engine.upscale.ldsr_file import TRAINED_STEPS, LdsrNetworks

__all__ = ["FACTOR", "STEPS", "LatentUpscaler"]

FACTOR = 4
STEPS = 100
PATCH_CELLS, PATCH_LEAST = 128, 64
"""A patch of the latent, a cell of which is a pixel of the small picture; half as much where memory is short."""
PAD_CELLS = 64
WEIGHT_LEAST, WEIGHT_MOST = 0.01, 0.5
SEED = 0


class LatentUpscaler:
    """`scale` is its own factor."""

    scale = FACTOR

    def __init__(self, networks: LdsrNetworks, steps: int = STEPS) -> None:
        self._networks = networks
        self._steps = max(1, min(TRAINED_STEPS, steps))

    def run(
        self, picture: Picture, device: Device, check: Callable[[], None], done: Callable[[int, int], None]
    ) -> Picture:
        """The picture four times as wide and high. `check` may raise before each call of the network; `done` hears how
        many of how many are finished. Raises EngineError `oom`."""
        height, width, _ = picture.shape
        down, right = (max(2, -(-side // PAD_CELLS)) * PAD_CELLS - side for side in (height, width))
        padded = np.pad(picture, ((0, down), (0, right), (0, 0)), mode="edge")
        patch = PATCH_CELLS
        while True:
            try:
                made = self._drawn(padded, patch, device.torch_device, check, done)
                return np.ascontiguousarray(made[: height * FACTOR, : width * FACTOR])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if patch <= PATCH_LEAST:
                    raise EngineError("oom", f"a patch of {patch} cells: {error!r}") from error
                patch //= 2
            # Outside the handler: the exception's frames would keep the failed tensors alive.
            free(device.torch_device)

    @torch.inference_mode()
    def _drawn(
        self,
        picture: Picture,
        patch: int,
        device: torch.device,
        check: Callable[[], None],
        done: Callable[[int, int], None],
    ) -> Picture:
        # Any, because diffusers' own types know neither `to` nor `sample`.
        unet: Any = self._networks.unet
        codec: Any = self._networks.codec
        unet.to(device)
        codec.to(device)
        try:
            small = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
            patches = [*_patches(picture.shape[0], picture.shape[1], patch)]
            counted = _Counter(check, done, (len(self._times()) + 1) * len(patches))

            def estimate(x: torch.Tensor, step: int) -> torch.Tensor:
                """The noise in `x`."""
                answers = []
                for top, left in patches:
                    counted.before()
                    seen = torch.cat([_cut(x, top, left, patch), _cut(small, top, left, patch)], dim=1)
                    answers.append(unet(seen, torch.tensor([step], device=device)).sample)
                    counted.after()
                return _joined(answers, patches, patch, x.shape[2:])

            latent = self._denoised(codec.config.vq_embed_dim, small, estimate)
            parts = []
            for top, left in patches:
                counted.before()
                parts.append(codec.decode(_cut(latent, top, left, patch)).sample)
                counted.after()
            factor = parts[0].shape[-1] // patch
            places = [(top * factor, left * factor) for top, left in patches]
            size = torch.Size((latent.shape[2] * factor, latent.shape[3] * factor))
            whole = _joined(parts, places, patch * factor, size)
        finally:
            if device.type != "cpu":
                unet.cpu()
                codec.cpu()
        pixels = (whole[0].clamp(-1, 1).nan_to_num(0) + 1) / 2 * 255
        return pixels.to(torch.uint8).permute(1, 2, 0).cpu().numpy()

    def _denoised(
        self, channels: int, small: torch.Tensor, estimate: Callable[[torch.Tensor, int], torch.Tensor]
    ) -> torch.Tensor:
        """DDIM (Song et al., ICLR 2021), eta 1, at evenly spaced steps of the training."""
        alphas = self._networks.alphas
        times = self._times()
        random = torch.Generator().manual_seed(SEED)
        shape = (1, channels, *small.shape[2:])
        x = torch.randn(shape, generator=random).to(small)
        for number in reversed(range(len(times))):
            now = float(alphas[times[number]])
            before = float(alphas[times[number - 1]]) if number else float(alphas[0])
            spread = ((1 - before) / (1 - now) * (1 - now / before)) ** 0.5
            noise = estimate(x, times[number])
            clean = (x - (1 - now) ** 0.5 * noise) / now**0.5
            fresh = torch.randn(shape, generator=random).to(small)
            x = before**0.5 * clean + max(0.0, 1 - before - spread**2) ** 0.5 * noise + spread * fresh
        return x

    def _times(self) -> list[int]:
        """A few more than asked for where the training's steps cannot be parted evenly, as in CompVis' sampler."""
        return [min(at + 1, TRAINED_STEPS - 1) for at in range(0, TRAINED_STEPS, TRAINED_STEPS // self._steps)]


class _Counter:
    def __init__(self, check: Callable[[], None], done: Callable[[int, int], None], of: int) -> None:
        self._check, self._done, self._of = check, done, of
        self._number = 0

    def before(self) -> None:
        self._check()

    def after(self) -> None:
        self._number += 1
        self._done(self._number, self._of)


def _patches(height: int, width: int, patch: int) -> Iterator[tuple[int, int]]:
    """Upper left corners, half a patch apart; both sides are multiples of PAD_CELLS and no smaller than a patch."""
    for top in range(0, height - patch + 1, patch // 2):
        for left in range(0, width - patch + 1, patch // 2):
            yield top, left


def _cut(x: torch.Tensor, top: int, left: int, patch: int) -> torch.Tensor:
    return x[:, :, top : top + patch, left : left + patch]


def _joined(parts: list[torch.Tensor], places: list[tuple[int, int]], side: int, size: torch.Size) -> torch.Tensor:
    """Their mean; a part counts less towards its edges."""
    line = torch.arange(side, device=parts[0].device) / (side - 1)
    edge = torch.minimum(line, 1 - line)
    weight = torch.minimum(edge[:, None], edge[None, :]).clamp(WEIGHT_LEAST, WEIGHT_MOST)
    total = torch.zeros(1, parts[0].shape[1], *size, device=parts[0].device)
    counted = torch.zeros(1, 1, *size, device=parts[0].device)
    for part, (top, left) in zip(parts, places, strict=True):
        total[:, :, top : top + side, left : left + side] += part * weight
        counted[:, :, top : top + side, left : left + side] += weight
    return total / counted
