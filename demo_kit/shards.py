"""Scenes on disk, a thousand at a time; shard N of a world is the same on every machine."""

import json
from pathlib import Path

import numpy as np

from demo_kit.folders import work_folder
from demo_kit.scenes import Scene, stream
from demo_kit.worlds import WORLDS

__all__ = ["SHARD", "captions_of", "pictures_of", "shard_scenes"]

SHARD = 1024


def pictures_of(index: int, world: str = "scenes") -> np.ndarray:
    """The pictures of a shard: uint8, (1024, 128, 128, 3), mapped from disk; rendered where they are missing."""
    return np.load(_rendered(index, world).with_suffix(".npy"), mmap_mode="r")


def captions_of(index: int, world: str = "scenes") -> list[str]:
    """The captions of a shard."""
    return json.loads(_rendered(index, world).with_suffix(".json").read_text(encoding="utf-8"))


def _rendered(index: int, world: str) -> Path:
    """The shard's files without their suffixes."""
    files = work_folder(world) / f"{index:05d}"
    if not (files.with_suffix(".npy").exists() and files.with_suffix(".json").exists()):
        scenes = shard_scenes(index, world)
        captions = [scene.caption for scene in scenes]
        np.save(files.with_suffix(".part.npy"), np.stack([np.asarray(scene.picture) for scene in scenes]))
        files.with_suffix(".json").write_text(json.dumps(captions), encoding="utf-8")
        files.with_suffix(".part.npy").replace(files.with_suffix(".npy"))
    return files


def shard_scenes(index: int, world: str = "scenes") -> list[Scene]:
    """The scenes of a shard, rendered anew."""
    rng = stream(index)
    return [WORLDS[world](rng) for _ in range(SHARD)]
