"""Scenes on disk, a thousand at a time; shard N of a world is the same on every machine."""

import json
import os
from dataclasses import fields
from pathlib import Path

import numpy as np

from demo_kit.folders import work_folder
from demo_kit.scenes import Facts, Scene, stream
from demo_kit.worlds import WORLDS

__all__ = ["SHARD", "captions_of", "facts_of", "is_rendered", "pictures_of", "shard_scenes"]

SHARD = 1024


def pictures_of(index: int, world: str = "scenes") -> np.ndarray:
    """The pictures of a shard: uint8, (1024, 128, 128, 3), mapped from disk; rendered where they are missing."""
    return np.load(_rendered(index, world).with_suffix(".npy"), mmap_mode="r")


def facts_of(index: int, world: str = "scenes") -> list[Facts]:
    """What the scenes of a shard show."""
    held = json.loads(_rendered(index, world).with_suffix(".json").read_text(encoding="utf-8"))
    return [Facts(**entry | {"things": tuple(entry["things"])}) for entry in held]


def captions_of(index: int, world: str = "scenes") -> list[str]:
    """The captions of a shard."""
    return [facts.caption for facts in facts_of(index, world)]


def is_rendered(index: int, world: str = "scenes") -> bool:
    """Whether the shard lies on disk."""
    files = _files(index, world)
    return files.with_suffix(".npy").exists() and files.with_suffix(".json").exists()


def shard_scenes(index: int, world: str = "scenes") -> list[Scene]:
    """The scenes of a shard, rendered anew."""
    rng = stream(index)
    return [WORLDS[world](rng) for _ in range(SHARD)]


def _files(index: int, world: str) -> Path:
    return work_folder(world) / f"{index:05d}"


def _rendered(index: int, world: str) -> Path:
    """The shard's files without their suffixes."""
    files, mine = _files(index, world), f".{os.getpid()}"
    if not is_rendered(index, world):
        scenes = shard_scenes(index, world)
        names = [field.name for field in fields(Facts)]
        told = [{name: getattr(scene, name) for name in names} for scene in scenes]
        files.with_suffix(f"{mine}.json").write_text(json.dumps(told), encoding="utf-8")
        np.save(files.with_suffix(f"{mine}.npy"), np.stack([np.asarray(scene.picture) for scene in scenes]))
        for suffix in (".npy", ".json"):
            files.with_suffix(mine + suffix).replace(files.with_suffix(suffix))
    return files
