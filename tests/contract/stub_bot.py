"""A bot process to be killed: works off the queue of `root`, delivers into a file, and ends when all is delivered.

stub_bot.py ROOT KIT WORKER…
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT))

from bot.domain.job import JobStatus  # noqa: E402
from tests.contract.farm import open_farm  # noqa: E402
from tests.contract.kits import KITS  # noqa: E402


async def main(root: Path, kit: str, workers: list[str]) -> None:
    async with open_farm(root, KITS[kit], *workers) as farm:
        while True:
            for job in await farm.jobs.untold():
                with (root / "delivered").open("ab", buffering=0) as file:
                    file.write(f"{job.id}\n".encode())
                await farm.jobs.transition(job.id, (JobStatus.DONE,), JobStatus.DELIVERED)
            if not await farm.jobs.queue() and not await farm.jobs.untold():
                return
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
