"""Pictures that jobs of this machine start from: kept by the hash of their bytes, the least recently used go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from weakref import WeakValueDictionary

from gpu_worker.agent.getting import Get, PartFile, WrongBytesError, fetch_chunks
from gpu_worker.agent.refusals import disk_trouble
from gpu_worker.protocol.nats.mail import InputWanted
from gpu_worker.protocol.outbox import PART_SUFFIX
from gpu_worker.protocol.specs import ImageRef

__all__ = ["INPUT_BYTES_MAX", "InputStore"]

log = logging.getLogger(__name__)

INPUT_BYTES_MAX = 2**30
AT_ONCE = 4


class InputStore:
    def __init__(self, folder: Path, get: Get, *, budget_bytes: int, retry_s: float) -> None:
        self._folder = folder
        self._get = get
        self._budget_bytes = budget_bytes
        self._retry_s = retry_s
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._under_way: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._used: Counter[str] = Counter()

    async def missing(self, images: Collection[ImageRef]) -> list[ImageRef]:
        return await asyncio.to_thread(lambda: [ref for ref in images if not self._is_here(ref)])

    def hold(self, addresses: Collection[str]) -> None:
        self._used.update(list(addresses))

    def release(self, addresses: Collection[str]) -> None:
        self._used.subtract(list(addresses))
        self._used = +self._used

    async def bring(self, ref: ImageRef, told: Callable[[int], None]) -> None:
        """One that the bot does not give, or that is another than it says, stays away: its job says so when it reads
        it, as on the bot's own machine. Raises StockError where the disk does not take it."""
        lock = self._under_way.setdefault(ref.ref, asyncio.Lock())
        async with lock, self._turn:
            try:
                if not await asyncio.to_thread(self._is_here, ref):
                    await self._fetch(ref, told)
            except (FileNotFoundError, WrongBytesError) as error:
                log.warning("input %.12s: %s", ref.ref, error)
            except OSError as error:
                raise disk_trouble(error) from error
            finally:
                told(ref.size_bytes)

    async def make_room(self) -> None:
        await asyncio.to_thread(self._forget_old, frozenset(self._used))

    async def _fetch(self, ref: ImageRef, told: Callable[[int], None]) -> None:
        if ref.size_bytes > INPUT_BYTES_MAX:
            raise WrongBytesError(f"it has {ref.size_bytes} bytes")
        path = self._folder / f"{ref.ref}{PART_SUFFIX}"
        part = await asyncio.to_thread(PartFile, path)
        try:
            if part.size > ref.size_bytes:
                part.restart()
            await fetch_chunks(
                self._get, lambda offset: InputWanted(ref=ref.ref, offset=offset), part, ref.size_bytes,
                told=told, retry_s=self._retry_s,
            )  # fmt: skip
            if part.sha256 != ref.sha256:
                raise WrongBytesError("other bytes came than were promised")
            await asyncio.to_thread(part.close)
            await asyncio.to_thread(path.replace, self._folder / ref.ref)
        except (WrongBytesError, FileNotFoundError):
            part.remove()
            raise
        finally:
            part.close()

    def _is_here(self, ref: ImageRef) -> bool:
        path = self._folder / ref.ref
        with contextlib.suppress(OSError):
            if path.stat().st_size == ref.size_bytes:
                path.touch()
                return True
        return False

    def _forget_old(self, used: Collection[str]) -> None:
        found: list[tuple[float, int, Path]] = []
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                with contextlib.suppress(OSError):
                    facts = path.stat()
                    found.append((facts.st_mtime, facts.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._budget_bytes:
                return
            if path.name.removesuffix(PART_SUFFIX) not in used:
                with contextlib.suppress(OSError):
                    path.unlink()
                    total -= size
