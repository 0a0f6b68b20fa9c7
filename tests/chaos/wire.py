"""A link to the broker that can be slow, silent, cut off, and can double what the broker says or mix up its order."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque

__all__ = ["Frames", "Wire"]

UNDER_WAY_MAX = 256
"""Reads of at most 64 KiB between one end and the other, each way of each connection."""
MIXED_UP = 0.08
REPLAYED_KEPT = 30


class Frames:
    """Cuts what a broker says into its units: control lines, and messages with what they carry."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bool]]:
        """Each whole unit so far, and whether it is a message."""
        self._held += data
        found: list[tuple[bytes, bool]] = []
        while (end := self._held.find(b"\r\n")) >= 0:
            line = self._held[:end]
            size, message = end + 2, line[:4].upper() == b"MSG " or line[:5].upper() == b"HMSG "
            if message:
                size += int(line.rpartition(b" ")[2]) + 2
                if len(self._held) < size:
                    break
            found.append((self._held[:size], message))
            self._held = self._held[size:]
        return found


class Meddler:
    """Of the messages: some come twice, some after the next ones, some once more much later."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._frames = Frames()
        self._late: list[bytes] = []
        self._earlier: deque[bytes] = deque(maxlen=REPLAYED_KEPT)

    def pass_on(self, data: bytes, *, meddle: bool) -> bytes:
        out: list[bytes] = []
        for unit, message in self._frames.feed(data):
            if not message or not meddle:
                out.append(unit)
                continue
            self._earlier.append(unit)
            match self._dice.choices(("as it is", "twice", "late", "replay"), (1 - 3 * MIXED_UP, *[MIXED_UP] * 3))[0]:
                case "twice":
                    out += unit, unit
                case "late":
                    self._late.append(unit)
                    continue
                case "replay":
                    out += unit, self._dice.choice(self._earlier)
                case _:
                    out.append(unit)
            out += self._take_late()
        return b"".join([*out, *self._take_late()]) if not meddle else b"".join(out)

    def tick(self) -> bytes:
        """What was held back and nothing came after."""
        return b"".join(self._take_late())

    def _take_late(self) -> list[bytes]:
        late, self._late = self._late, []
        return late


class Wire:
    """Listens at `host`; everything behind it goes to `target`."""

    def __init__(self, target: str, seed: str, host: str = "127.0.0.1") -> None:
        there, _, port = target.rpartition("//")[2].rpartition(":")
        self._target, self._host, self._port = (there, int(port)), host, 0
        self._dice = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._speaking = asyncio.Event()
        self._speaking.set()
        self._cuts = 0
        self.delay_s = 0.0
        """Each way."""
        self.meddles = False

    @property
    def url(self) -> str:
        return f"nats://{self._host}:{self._port}"

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def silence(self, *, lost: bool) -> None:
        """From now on nothing comes through and nobody is told. `lost`: nor later, on the connections of now."""
        self._speaking.clear()
        self._cuts += lost

    def speak(self) -> None:
        self._speaking.set()

    def reset(self) -> None:
        """Both ends of every connection hear at once that it is over."""
        for writer in list(self._writers):
            with contextlib.suppress(OSError, RuntimeError):
                writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        cuts = self._cuts
        try:
            await self._speaking.wait()  # a client's hello is lost in a silent link as all else is
            there, out = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(out)
        meddler = Meddler(self._dice)
        for source, target, meddles in ((reader, out, None), (there, writer, meddler)):
            task = asyncio.create_task(self._carry(source, target, meddles, cuts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, meddler: Meddler | None, cuts: int
    ) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY_MAX)
        arriving = asyncio.create_task(self._arrive(under_way, target, meddler, cuts))
        loop = asyncio.get_running_loop()
        try:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    await under_way.put((loop.time() + self.delay_s, data))
            await under_way.put((loop.time() + self.delay_s, b""))
            await arriving
        finally:
            arriving.cancel()
            self._writers.discard(target)

    async def _arrive(
        self,
        under_way: asyncio.Queue[tuple[float, bytes]],
        target: asyncio.StreamWriter,
        meddler: Meddler | None,
        cuts: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                try:
                    async with asyncio.timeout(0.1 if meddler is not None and self.meddles else None):
                        due, data = await under_way.get()
                except TimeoutError:
                    assert meddler is not None
                    if self._cuts == cuts and self._speaking.is_set():
                        target.write(meddler.tick())
                    continue
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._speaking.wait()
                if self._cuts != cuts:
                    continue  # it was lost, and so is everything behind it
                if not data:
                    break
                target.write(meddler.pass_on(data, meddle=self.meddles) if meddler is not None else data)
                await target.drain()
        target.close()
