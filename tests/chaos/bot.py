"""The bot's side as a process that can be killed: real dispatcher, real database, real transport, and users in front.

What a user is told is a line in a file that stands for Discord. As the real deliverer, it says `delivering` in the
table before and `delivered` after; a life that was killed in between lets the next one say it again, with its nonce.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import signal
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bot.dispatch.dispatcher import Leases
from bot.dispatch.nats.transport import NatsTimes, NatsTransport
from bot.domain.ids import JobId, UserId
from bot.domain.job import Action, Job, JobStatus, Lane, NewJob, NewTraining
from bot.storage import kept_parts
from bot.storage.database import StorageFullError
from bot.storage.inputs import InputPictures
from gpu_worker.language.training.parameters import Parameters
from gpu_worker.protocol.nats.link import LinkTimes
from gpu_worker.protocol.nats.subjects import Subjects
from gpu_worker.protocol.specs import Img2Img, Train, TrainDataset, TrainImage, TrainSubset, Txt2Img
from tests.chaos.clocks import skew_clock
from tests.chaos.engine import given_of
from tests.chaos.plan import Order
from tests.contract.farm import Farm, new_job, open_farm

__all__ = ["JOURNAL", "SOCKET", "BotLife", "link_times", "run_bot"]

JOURNAL = "told"
SOCKET = "bot.sock"
LOOK_S = 0.05

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BotLife:
    root: str
    """Where its database and its pictures lie."""
    desk: str
    """Where its socket is, and the file that stands for Discord: on a disk that is never full."""
    url: str
    prefix: str
    scale: float
    lease_s: float
    number: int
    skew_s: int
    jump_s: int


def link_times(scale: float) -> LinkTimes:
    return LinkTimes(ping_s=4.0 * scale, reconnect_s=1.0 * scale, answer_s=max(2.0, 10.0 * scale))


def run_bot(life: BotLife) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    skew_clock(life.skew_s, life.jump_s)
    kept_parts.SPARE_BYTES = 2**20  # the disks here are small
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_Bot(life).live())
    return 0


class _Kit:
    """As much of a kit as a farm needs: workers are none of the bot's business."""

    outlives_bots = True

    def __init__(self, life: BotLife) -> None:
        self._life = life

    def make(self, root: Path, names: tuple[str, ...]) -> NatsTransport:
        scale = self._life.scale
        times = NatsTimes(
            assign_timeout_s=max(1.0, 5.0 * scale), first_connect_s=5.0 * scale, first_mail_s=20.0 * scale,
            redeliver_s=2.0 * scale, look_round_s=10.0 * scale, retry_s=2.0 * scale,
        )  # fmt: skip
        return NatsTransport(
            self._life.url, root=root / "outbox", subjects=Subjects(self._life.prefix), times=times,
            link_times=link_times(scale),
        )  # fmt: skip


class _Bot:
    def __init__(self, life: BotLife) -> None:
        self._life = life
        self._desk = Path(life.desk)
        self._posted: set[JobId] = set()
        """By this life; Discord would know its nonce again."""

    async def live(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        scale = self._life.scale
        leases = Leases(
            heartbeat_s=2.0 * scale, lease_s=self._life.lease_s, restart_grace_s=90.0 * scale, quiet_s=10.0 * scale
        )
        while True:  # a service manager starts it again where its disk was full
            try:
                async with open_farm(Path(self._life.root), _Kit(self._life), leases=leases) as farm:  # pyright: ignore[reportArgumentType]
                    await self._serve(farm)
            except (OSError, sqlite3.Error, StorageFullError):
                log.exception("the bot cannot start")
                await asyncio.sleep(2.0 * scale)

    async def _serve(self, farm: Farm) -> None:
        self._note(begins=self._life.number)
        path = self._desk / SOCKET
        path.unlink(missing_ok=True)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while line := await reader.readline():
                    try:
                        said: dict[str, Any] = await self._do(farm, json.loads(line))
                    except Exception as error:
                        log.exception("a user's wish failed")
                        said = {"error": type(error).__name__}
                    writer.write(json.dumps(said).encode() + b"\n")
                    await writer.drain()
            writer.close()

        server = await asyncio.start_unix_server(answer, path)
        async with server:
            while True:
                try:
                    await self._tell_all(farm)
                except Exception:
                    log.exception("somebody could not be told; it is tried again")
                    await asyncio.sleep(2.0 * self._life.scale)
                await asyncio.sleep(LOOK_S)

    async def _do(self, farm: Farm, wish: dict[str, Any]) -> dict[str, Any]:
        if wish["do"] == "cancel":
            status = await farm.dispatcher.cancel(JobId(wish["job"]), UserId(wish["user"]))
            return {"status": status}
        job_id, _ = await farm.dispatcher.submit(await self._asked(farm, Order(**wish["order"]), wish["interaction"]))
        return {"job": job_id}

    async def _asked(self, farm: Farm, order: Order, interaction: int) -> NewJob:
        job = new_job(
            f"label:{order.label} {order.words}", user=order.user, model=order.model, lane=Lane(order.lane),
            interaction=interaction, count=order.count,
        )  # fmt: skip
        inputs = InputPictures(farm.database, farm.root / "inputs")
        if order.steps:
            ref = await inputs.keep(b"somebody's picture", "image/png")
            subset = TrainSubset(name="10_a", num_repeats=10, images=(TrainImage(image=ref),))
            spec = Train(
                checkpoint=order.model, output_name=order.label, datasets=(TrainDataset(subsets=(subset,)),),
                parameters=Parameters(seed=1, max_train_steps=order.steps),
            )  # fmt: skip
            return replace(
                job, action=Action.TRAIN, task=spec, lane=Lane.TRAINING, training=NewTraining("set", "character")
            )
        if order.given_kb:
            ref = await inputs.keep(given_of(order.label, order.given_kb), "image/png")
            assert isinstance(job.task, Txt2Img)
            shared = {name: getattr(job.task, name) for name in ("prompt", "checkpoint", "width", "height", "seed")}
            return replace(job, task=Img2Img(**shared, count=order.count, steps=job.task.steps, image=ref))
        return job

    async def _made(self, farm: Farm, job: Job) -> list[str]:
        """Hashes of all that a job has to show."""
        if job.training is not None:
            assert farm.settler.trainings is not None
            paths = [file.path for file in await farm.settler.trainings.files(job.id)]
            files = [await asyncio.to_thread(path.read_bytes) for path in paths]
        else:
            files = [await farm.images.read(picture) for picture in await farm.images.of_job(job.id)]
        return [hashlib.sha256(data).hexdigest() for data in files]

    async def _tell_all(self, farm: Farm) -> None:
        for job in await farm.jobs.untold():
            if job.status in (JobStatus.FAILED, JobStatus.CANCELLED):
                self._tell(job, job.status, why=job.failure_kind)
                await farm.jobs.told(job.id)
            else:
                if job.status is JobStatus.DONE:
                    await farm.jobs.transition(job.id, (JobStatus.DONE,), JobStatus.DELIVERING)
                self._tell(job, "delivered", pictures=await self._made(farm, job))
                await farm.jobs.transition(job.id, (JobStatus.DELIVERING,), JobStatus.DELIVERED, told_at=time.time())
            self._note(sure=job.id)

    def _tell(self, job: Job, what: str, **more: object) -> None:
        if job.id not in self._posted:
            self._note(told=what, job=job.id, user=job.user_id, **more)
            self._posted.add(job.id)

    def _note(self, **line: object) -> None:
        data = json.dumps({"life": self._life.number, **line}).encode() + b"\n"
        file = os.open(self._desk / JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, data)
        finally:
            os.close(file)
