"""`python -m demo_kit.render`: draws all training scenes ahead, for a GPU learns faster than a core draws."""

import argparse
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from demo_kit.control import control_shards, maps_of
from demo_kit.device import use_best_device
from demo_kit.inpainting import holes_of, inpainting_shards
from demo_kit.latents import FIRST_SHARD, MOST_SHARDS
from demo_kit.maps import MAPS
from demo_kit.shards import pictures_of
from demo_kit.vae import vae_shards

__all__ = ["wanted"]


def wanted() -> list[Callable[[], object]]:
    """What is to be drawn, in the order in which it is needed."""
    scenes = [*range(vae_shards()), 90_000, *range(FIRST_SHARD, FIRST_SHARD + MOST_SHARDS)]
    first: list[Callable[[], object]] = [partial(pictures_of, index) for index in scenes[: vae_shards() + 9]]
    worlds = {"character": 6, "comic": 16, "blueprint": 6, "sepia": 6, "damaged": 6, "clean": control_shards(),
              "people": control_shards()}  # fmt: skip
    then: list[Callable[[], object]] = [
        partial(pictures_of, FIRST_SHARD + index, world) for world, count in worlds.items() for index in range(count)
    ]
    then += [partial(holes_of, FIRST_SHARD + index) for index in range(inpainting_shards())]
    then += [partial(maps_of, FIRST_SHARD + index, name) for name in MAPS for index in range(control_shards())]
    later: list[Callable[[], object]] = [partial(pictures_of, index) for index in scenes[vae_shards() + 9 :]]
    mixed = [task for pair in zip(then, later, strict=False) for task in pair]
    return first + mixed + then[len(later) :] + later[len(then) :]


def _do(task: Callable[[], object]) -> None:
    task()


def main(arguments: list[str]) -> int:
    """Exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m demo_kit.render", description=__doc__)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    use_best_device()
    tasks = wanted()
    with ProcessPoolExecutor(options.processes) as pool:
        for done, _ in enumerate(pool.map(_do, tasks), 1):
            if done % 20 == 0 or done == len(tasks):
                print(f"rendered {done} of {len(tasks)} shards", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
