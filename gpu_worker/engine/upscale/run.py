"""One run of an enlarging network over a picture: tiles, precision, and what to do when memory does not reach."""

from __future__ import annotations

from collections.abc import Callable

import torch

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.memory import free, is_out_of_memory
from gpu_worker.engine.upscale.load import ImageModel
from gpu_worker.engine.upscale.tiles import TileGrid, averaged, dense_grid, merged, split_grid

__all__ = ["grid_for", "run_model"]

TILE_PX, OVERLAP_PX = 192, 8
TILE_MIN_PX = 48
AVERAGING = {"SwinIR": 192, "SCUNet": 256}
"""Architectures whose tiles A1111 lays on a grid of its own, and averages; their tile in pixels."""


def grid_for(model: ImageModel, width: int, height: int, tile_px: int) -> TileGrid:
    """The tiles of a picture; one for all of a picture that is no larger, and for networks that tile by themselves.

    A1111 pads a picture smaller than a tile with black, whose shadow shows at two edges; here there is none.
    """
    from spandrel import ModelTiling

    network = model.network
    if network.tiling is ModelTiling.INTERNAL:
        return split_grid(width, height, width, height, 0)
    wide = AVERAGING.get(network.architecture.id)
    if wide:
        tile = min(wide, wide * tile_px // TILE_PX, width, height)
        return dense_grid(width, height, tile, min(OVERLAP_PX, tile // 2))
    tile_width, tile_height = min(tile_px, width), min(tile_px, height)
    return split_grid(width, height, tile_width, tile_height, min(OVERLAP_PX, tile_width // 2, tile_height // 2))


def run_model(
    model: ImageModel, picture: Picture, device: Device, check: Callable[[], None], done: Callable[[int, int], None]
) -> Picture:
    """The picture enlarged once by the network's own factor.

    `check` may raise between tiles; `done` hears how many of how many are finished. Out of memory, tiles get smaller;
    a result that is no number is drawn again in full precision, which the model then keeps. Raises EngineError `oom`.
    """
    tile_px = TILE_PX
    while True:
        grid = grid_for(model, picture.shape[1], picture.shape[0], tile_px)
        try:
            return _tiled(model, picture, grid, device, check, done)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if tile_px // 2 < TILE_MIN_PX:
                raise EngineError("oom", f"a tile of {tile_px} pixels: {error!r}") from error
            tile_px //= 2
        # Outside the handler: the exception's frames would keep the failed tensors alive.
        free(device.torch_device)


def _tiled(
    model: ImageModel,
    picture: Picture,
    grid: TileGrid,
    device: Device,
    check: Callable[[], None],
    done: Callable[[int, int], None],
) -> Picture:
    tiles: list[Picture] = []
    for left, top, right, bottom in grid.boxes():
        check()
        tiles.append(_tile(model, picture[top:bottom, left:right], device))
        done(len(tiles), len(grid))
    if len(tiles) == 1:
        return tiles[0]
    factor = model.network.scale
    return averaged(tiles, grid, factor) if grid.dense else merged(tiles, grid, factor)


def _tile(model: ImageModel, tile: Picture, device: Device) -> Picture:
    """Channels go in as BGR, as A1111 has them; grey networks get each by itself, others a full opacity as well."""
    pixels = torch.from_numpy(tile[:, :, ::-1].transpose(2, 0, 1).copy())
    x = pixels.to(device.torch_device, model.dtype)[None] / 255
    channels = model.network.input_channels
    if channels == 1:
        y = torch.cat([model.network(x[:, i : i + 1]) for i in range(3)], dim=1)
    else:
        y = model.network(torch.cat((x, torch.ones_like(x[:, :1])), dim=1) if channels == 4 else x)
    if not y.isfinite().all() and model.dtype != torch.float32:
        model.use(torch.float32)
        return _tile(model, tile, device)
    y = y[0, :3].float().nan_to_num(0).clamp(0, 1) * 255
    return y.round().to(torch.uint8).flip(0).permute(1, 2, 0).cpu().numpy()
