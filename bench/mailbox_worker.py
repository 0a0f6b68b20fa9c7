"""The worker's end of bench/mailbox.py: URL FOLDER WORKERS RESULTS BYTES. Sends on a line of its standard input."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path

from gpu_worker.agent.post import Post
from gpu_worker.agent.times import AgentTimes
from gpu_worker.outbox import OutFile, WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.nats.link import Link
from gpu_worker.protocol.nats.subjects import Subjects, inbox_of


def _fill(box: Path, worker: str, count: int, size: int) -> None:
    outbox = WorkerOutbox(box)
    for n in range(count):
        data = os.urandom(size)
        output = m.Output(
            blob="", size_bytes=size, sha256=hashlib.sha256(data).hexdigest(), mime="image/png",
            width=64, height=64, seed=7, infotext="",
        )  # fmt: skip
        done = m.Done(worker=worker, job=f"{worker}j{n}", attempt=1, outputs=(output,), run_s=1.0)
        outbox.store(done, [OutFile(data, output)])


async def _main(url: str, folder: Path, workers: int, count: int, size: int) -> None:
    async def on_command(command: m.ToWorker) -> None: ...

    posts: list[Post] = []
    for n in range(workers):
        name = f"m{n}"
        await asyncio.to_thread(_fill, folder / name, name, count // workers + (n < count % workers), size)
        link = Link(url, name=name, inbox=inbox_of(name))
        link.open()
        if not await link.wait_up(30):
            raise RuntimeError("the broker is not there")
        posts.append(Post(link, Subjects(), name, folder / name, on_command, AgentTimes()))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(post.open() for post in posts))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6])))
