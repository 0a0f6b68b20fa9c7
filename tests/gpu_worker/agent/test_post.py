"""A worker's words to the bot go on whatever becomes of one of them."""

from __future__ import annotations

import asyncio

from gpu_worker.agent.post import Post
from gpu_worker.agent.times import AgentTimes
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.nats.link import LinkDownError
from gpu_worker.protocol.nats.subjects import Subjects


class OddLink:
    """Raises what no link should, once."""

    connected = True

    def __init__(self) -> None:
        self.said: list[m.Heartbeat] = []
        self.odd = True

    def on_up(self, what) -> None:
        pass

    async def subscribe(self, subject, on_data) -> None:
        pass

    async def say(self, subject, message) -> None:
        if self.odd:
            self.odd = False
            raise RuntimeError("a bug of the library's")
        self.said.append(message)

    async def flush(self) -> None:
        pass

    async def store(self, subject, data) -> None:
        raise LinkDownError("nats: maximum payload exceeded")

    async def wait_up(self) -> bool:
        return True


async def test_a_word_that_cannot_be_said_is_not_the_last(tmp_path, caplog):
    link = OddLink()

    async def nothing(command) -> None:
        pass

    post = Post(link, Subjects(), "garage", tmp_path / "box", nothing, AgentTimes(retry_s=0.01))
    await post.open()
    async with asyncio.timeout(60):
        while not link.said:
            post.say(m.Heartbeat(boot="b"))
            await asyncio.sleep(0.01)
    post.cancel()
    assert "could not be said" in caplog.text


async def test_a_broker_that_is_there_and_takes_no_results_is_told_of_once_in_a_while(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("gpu_worker.agent.uploads.SILENT_S", 0.05)

    async def nothing(command) -> None:
        pass

    post = Post(OddLink(), Subjects(), "garage", tmp_path / "box", nothing, AgentTimes(retry_s=0.01))
    await post.end(m.Cancelled(job="j1", attempt=1))
    await post.end(m.Cancelled(job="j2", attempt=1))
    async with asyncio.timeout(60):
        while "takes no results" not in caplog.text:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert caplog.text.count("takes no results (nats: maximum payload exceeded)") == 1
    post.cancel()
