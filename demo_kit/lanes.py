"""`python -m demo_kit.lanes`: the whole kit on one GPU in ten minutes, side by side what can be.

Beside torch and transformers it needs diffusers, spandrel and controlnet-aux (which draws the poses).
"""

import argparse
import os
import subprocess
import sys
import threading
import time

from demo_kit.device import use_best_device
from demo_kit.folders import work_folder
from demo_kit.shards import is_rendered
from demo_kit.vae import vae_shards

Lane = list[tuple[str, float]]
REST: list[Lane] = [
    [("second", 60), ("negative", 20), ("blueprint", 25)],
    [("inpainting", 60), ("sepia", 25), ("raccoon", 25)],
    [("canny", 55), ("scribble", 55)],
    [("depth", 55), ("openpose", 55)],
]
STAGES: list[list[Lane]] = [
    [[("vae", 75)], [("tagger", 40)]],
    [[("base", 230)], [("decoder", 140), ("upscaler", 60)]],
    REST,
]
"""One after the other; the lanes of each run at the same time. Numbers are seconds of training."""
FURTHER_STAGES: list[list[Lane]] = [[[("decoder_further", 150)], [("tagger", 40)]], REST]
"""Where the kit's checkpoint is at hand, as in demo_kit/start: whose parts would not fit one trained further."""
MANY = 10_000_000
"""Steps: the time ends each run."""


def _run(lane: Lane, scale: float, failed: list[str]) -> None:
    for part, seconds in lane:
        limits = ["--seconds", f"{seconds * scale}", "--steps", f"{MANY}"]
        command = [sys.executable, "-u", "-m", "demo_kit", part, *limits]
        with (work_folder("logs") / f"{part}.log").open("w") as log:
            code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode  # noqa: S603
        if code:
            failed.append(part)
        ended = f"exit code {code}, see {work_folder('logs') / f'{part}.log'}" if code else "done"
        print(f"{time.strftime('%X')} {part}: {ended}", flush=True)  # noqa: T201


def main(arguments: list[str]) -> int:
    """Exit code 0, or 1 where a part failed: each has a log. What needs a stage that failed is not begun."""
    parser = argparse.ArgumentParser(prog="python -m demo_kit.lanes", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="factor for all times")
    parser.add_argument("--further", action="store_true", help="start from the checkpoint that is there")
    options = parser.parse_args(arguments)
    use_best_device()
    cores = max(1, (os.cpu_count() or 2) - 2)
    rendering = subprocess.Popen([sys.executable, "-m", "demo_kit.render", "--processes", f"{cores}"])  # noqa: S603
    while not is_rendered(vae_shards() - 1) and rendering.poll() is None:
        time.sleep(0.2)
    failed: list[str] = []
    for lanes in FURTHER_STAGES if options.further else STAGES:
        if failed:
            rendering.terminate()
            break
        running = [threading.Thread(target=_run, args=(lane, options.scale, failed)) for lane in lanes]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    rendering.wait()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
