"""Takes entries out of the mailbox onto our own disk, whole, in their order; from there they are delivered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from bot.dispatch.nats.streams import ChunkLostError, Letter, Streams
from bot.dispatch.sparing import Sparing
from gpu_worker.protocol.frames import FRAME_LIMIT_BYTES, FrameError, unpack
from gpu_worker.protocol.nats.link import Link, LinkDownError
from gpu_worker.protocol.nats.mail import ENTRY_FILE, Landed, Manifest, SentFile
from gpu_worker.protocol.nats.subjects import Entry, Subjects, is_worker_name, parse_entry
from gpu_worker.protocol.outbox import KEPT_SUFFIX, OUTBOX_SUFFIX, PART_SUFFIX

__all__ = ["Landing"]

log = logging.getLogger(__name__)

_RECEIPT = b"{"
"""How the broker's receipts begin, and no manifest. A machine may name any subject for its own, also one where
another's entry lies, of which it then takes the place."""


class Landing:
    def __init__(self, link: Link, subjects: Subjects, streams: Streams, root: Path) -> None:
        """`root`: as the outboxes of embedded workers, a folder for each."""
        self._link = link
        self._subjects = subjects
        self._streams = streams
        self._root = root
        self._turns: dict[str, asyncio.Lock] = {}
        self._sparing = Sparing()
        self.under_way: dict[str, Entry] = {}
        """The end that is just being taken over, by worker."""

    async def collect(self, worker: str, landed: Callable[[], None] = lambda: None) -> bool:
        """All that lies in the mailbox of this worker; whether there was anything. `landed` is called after each that
        can be delivered. Raises OSError where something stays there for now."""
        if not is_worker_name(worker):
            return False
        async with self._turns.setdefault(worker, asyncio.Lock()):
            # The next one is asked for while one is written, and what was written is cleared away meanwhile.
            found, done_with = False, asyncio.create_task(asyncio.sleep(0))
            coming = asyncio.create_task(self._streams.next_letter(worker, 0))
            try:
                while (letter := await coming) is not None:
                    coming = asyncio.create_task(self._streams.next_letter(worker, letter.seq))
                    found = True
                    try:
                        files, whole = await self._take(worker, letter)
                    finally:
                        self.under_way.pop(worker, None)
                    landed()
                    await done_with
                    done_with = asyncio.create_task(self._done_with(worker, letter, files, whole=whole))
                await done_with
            finally:
                coming.cancel()
                await asyncio.gather(coming, done_with, return_exceptions=True)
            return found

    async def _take(self, worker: str, letter: Letter) -> tuple[tuple[SentFile, ...], bool]:
        """The files of it that are done with, and whether it came whole."""
        entry = parse_entry(letter.entry)
        if entry is not None and letter.data.startswith(_RECEIPT):
            if self._sparing.may(f"{worker} receipt"):
                log.warning("entry %s of worker %s was overwritten by another machine's receipt; it is asked for again",
                            letter.entry, worker)  # fmt: skip
            return (), False
        try:
            manifest = Manifest.model_validate(unpack(letter.data))
            files = _checked(entry, letter.entry, manifest)
        except (FrameError, ValidationError, ValueError):
            if self._sparing.may(worker):
                log.exception(
                    "worker %s sent an entry %.60r that no version can have meant; it is dropped", worker, letter.entry
                )
            return (), True
        assert entry is not None
        if entry.part is None:
            self.under_way[worker] = entry
        try:
            for file in files:
                if file.data is None:
                    await self._fetch(worker, file)
                else:
                    await asyncio.to_thread(_write, self._root / worker / file.name, file.data)
            if manifest.entry is not None:
                await asyncio.to_thread(_write, self._root / worker / letter.entry, manifest.entry)
            else:
                source = self._root / worker / f"{letter.entry}.{ENTRY_FILE}"
                await asyncio.to_thread(source.replace, self._root / worker / letter.entry)
        except ChunkLostError as error:
            log.warning("entry %s of worker %s is not whole (%s); it is asked for again", letter.entry, worker, error)
            return (), False
        return files, True

    async def _done_with(self, worker: str, letter: Letter, files: tuple[SentFile, ...], *, whole: bool) -> None:
        try:
            await self._streams.remove(worker, letter, files)
        except LinkDownError as error:  # met again, it is late and is dropped; those behind it need not wait for it
            log.info("entry %s of worker %s stays in the mailbox: %s", letter.entry, worker, error)
        with contextlib.suppress(LinkDownError):  # it sends the entry again and hears then
            await self._link.say(self._subjects.commands(worker), Landed(entry=letter.entry, whole=whole))

    async def _fetch(self, worker: str, file: SentFile) -> None:
        target = self._root / worker / file.name
        part = target.with_name(target.name + PART_SUFFIX)
        opened = await asyncio.to_thread(_open, part)
        try:
            size = 0
            try:
                async for data in self._streams.chunks(worker, file):
                    size += len(data)
                    if size > file.size_bytes:
                        raise ChunkLostError(f"{file.name} is larger than it should be")
                    await asyncio.to_thread(opened.write, data)
                if size != file.size_bytes:
                    raise ChunkLostError(f"{file.name} has {size} bytes of {file.size_bytes}")
            finally:
                await asyncio.to_thread(_close, opened)
            await asyncio.to_thread(part.replace, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _checked(entry: Entry | None, name: str, manifest: Manifest) -> tuple[SentFile, ...]:
    """Raises ValueError for names that are not of this entry: they become names of ours."""
    if entry is None:
        raise ValueError("an entry's name")
    # A part's own, which go with it; what an end brings goes with all of its attempt.
    which = r"[A-Za-z0-9]+" if entry.part is None else f"k{entry.part}"
    own = re.compile(rf"{re.escape(entry.job)}\.{entry.attempt}\.{which}(\.[A-Za-z0-9]+)?")
    for file in manifest.files:
        if file.name == f"{name}.{ENTRY_FILE}" and manifest.entry is None and file.size_bytes <= FRAME_LIMIT_BYTES:
            continue
        if file.data is not None and len(file.data) != file.size_bytes:
            raise ValueError(f"the size of {file.name!r}")
        taken = file.name.endswith((OUTBOX_SUFFIX, KEPT_SUFFIX, PART_SUFFIX))
        if taken or own.fullmatch(file.name) is None:
            raise ValueError(f"a file's name {file.name!r}")
    if manifest.entry is None and not any(file.name == f"{name}.{ENTRY_FILE}" for file in manifest.files):
        raise ValueError("an entry without its message")
    return manifest.files


def _open(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def _close(file: BinaryIO) -> None:
    with file:
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + PART_SUFFIX)
    file = _open(part)
    file.write(data)
    _close(file)
    part.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
