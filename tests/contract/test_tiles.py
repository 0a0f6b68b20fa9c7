"""Ultimate SD upscale on the real worker with the real engine: kill -9 in the middle costs a tile and shows nowhere."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from bot.dispatch.leases import Leases
from bot.dispatch.pipe import PipeTimes, PipeTransport
from bot.domain.ids import ChannelId, UserId, new_job_id
from bot.domain.job import Action, JobStatus, NewJob
from bot.storage.inputs import InputPictures
from gpu_worker.protocol.child import ChildCommand
from gpu_worker.protocol.specs import ImageRef, Img2Img, Ultimate
from tests.contract.farm import Farm, open_farm
from tests.contract.kits import CHECKOUT, KILL, PipeKit

PATIENCE_S = 180.0


class RealKit(PipeKit):
    """The worker that a bot starts."""

    def make(self, root: Path, names: tuple[str, ...]) -> PipeTransport:
        (root / "models").mkdir(exist_ok=True)
        command = ChildCommand(
            argv=(
                sys.executable, "-m", "gpu_worker", "--data", str(root), "--demo", str(CHECKOUT / "data" / "demo"),
                "--device", "cpu",
            ),
            log_file=root / "worker.log",
            environment={"PYTHONPATH": str(CHECKOUT)},
        )  # fmt: skip
        times = PipeTimes(assign_timeout_s=60.0, backoff_s=(0.05, 0.05, 0.05), redeliver_s=0.1)
        return PipeTransport(command=command, names=names, outbox_dir=root / "outbox", times=times)


def wish(ref: ImageRef) -> Ultimate:
    drawing = Img2Img(
        prompt="a red apple on a blue background", checkpoint="pincel-demo", width=128, height=128, steps=6,
        cfg_scale=5, seed=3, image=ref, denoising_strength=0.4,
    )  # fmt: skip
    return Ultimate(drawing=drawing, width=384, height=384, tile_width=128, padding=16)


async def submitted(farm: Farm) -> str:
    target = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((128, 128)).save(target, "PNG")
    data = target.getvalue()
    inputs = InputPictures(farm.database, farm.root / "inputs")
    ref = await inputs.keep(data, "image/png")
    assert ref.sha256 == hashlib.sha256(data).hexdigest()
    job_id, _ = await farm.dispatcher.submit(
        NewJob(id=new_job_id(), action=Action.ULTIMATE, user_id=UserId(1), channel_id=ChannelId(5), task=wish(ref))
    )
    return job_id


async def kept(farm: Farm) -> int:
    row = await farm.database.one("SELECT count(*) AS n FROM partials", ())
    assert row is not None
    return int(row["n"])


async def until(farm: Farm, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await kept(farm) < count:
            await asyncio.sleep(0.02)


async def picture(farm: Farm, job_id: str) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        while (await farm.job(job_id)).status.waiting:
            await asyncio.sleep(0.05)
    job = await farm.job(job_id)
    assert job.status is JobStatus.DONE, (job.failure_kind, job.failure_detail)
    (image,) = await farm.images.of_job(job.id)
    return await farm.images.read(image)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a process that is killed there leaves its files open for a while")
async def test_a_killed_worker_costs_one_tile_and_changes_no_byte(tmp_path):
    async with open_farm(tmp_path, RealKit(), leases=Leases()) as farm:
        job = await submitted(farm)
        await until(farm, 4)
        assert farm.kit.signal(farm.transport, "w1", KILL)
    # The bot is started anew as well.
    async with open_farm(tmp_path, RealKit(), leases=Leases()) as farm:
        disturbed = await picture(farm, job)
        ended = await farm.job(job)
        assert (ended.crashes, ended.attempt) == (0, 2)
        whole = await submitted(farm)
        undisturbed = await picture(farm, whole)
        assert disturbed == undisturbed
        drawn = [p.step // 100 for p in farm.seen.progress if p.job == job and p.phase == "tiles" and p.attempt == 2]
        assert min(drawn) >= 4, "a finished tile was drawn again"
        async with asyncio.timeout(60):
            while await kept(farm) or any((tmp_path / "parts").iterdir()):
                await asyncio.sleep(0.05)
    told = (tmp_path / "worker.log").read_text(encoding="utf-8", errors="replace")
    assert "is damaged" not in told
