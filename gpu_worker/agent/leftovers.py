"""Results of cards that this machine no longer serves with: they are delivered all the same."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from gpu_worker.agent.post import Post
from gpu_worker.agent.times import AgentTimes
from gpu_worker.outbox import WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.nats.link import Link
from gpu_worker.protocol.nats.subjects import Subjects, is_worker_name, machine_and_card

__all__ = ["Leftovers"]

log = logging.getLogger(__name__)


class Leftovers:
    def __init__(
        self, link: Link, subjects: Subjects, machine: str, outbox: Path, cards: int, times: AgentTimes
    ) -> None:
        """`outbox`: the folder of all boxes; `cards`: how many serve now."""
        self._link = link
        self._subjects = subjects
        self._machine = machine
        self._outbox = outbox
        self._cards = cards
        self._times = times
        self._posts: list[Post] = []

    async def run(self) -> None:
        try:
            for worker in await asyncio.to_thread(self._boxes):
                post = Post(self._link, self._subjects, worker, self._outbox / worker, _nothing, self._times)
                self._posts.append(post)
                await post.open()
            while self._posts:  # the process of an earlier agent may still be finishing a picture
                await asyncio.sleep(self._times.resend_s)
                for post in self._posts:
                    await post.deliver_all()
        except OSError as error:
            log.warning("what earlier cards left in %s cannot be looked through: %s", self._outbox, error)
        finally:
            for post in self._posts:
                post.cancel()

    def _boxes(self) -> list[str]:
        """Of this machine's other cards. Those of another name it may not deliver, and says so."""
        found: list[str] = []
        for path in sorted(self._outbox.iterdir()):
            if not is_worker_name(path.name) or not path.is_dir():
                continue
            machine, card = machine_and_card(path.name)
            if machine == self._machine:
                found += [path.name] * (card > self._cards)
            elif entries := WorkerOutbox(path, shared=True).entries():
                log.warning("%d result(s) in %s go when this machine joins as %s again", len(entries), path, machine)
        return found


async def _nothing(_command: m.ToWorker) -> None:
    """Nobody draws there."""
