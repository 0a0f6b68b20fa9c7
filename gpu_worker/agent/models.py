"""Model files for jobs of this machine: found among its own, or fetched, within a budget."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from gpu_worker.agent.getting import Get, PartFile, WrongBytesError, fetch_chunks
from gpu_worker.agent.own import OwnFiles
from gpu_worker.agent.refusals import StockError, disk_trouble
from gpu_worker.agent.shelf import Shelf, place_of
from gpu_worker.agent.source import SourceError, SourceRules, fetch_source
from gpu_worker.protocol.messages import ModelFact, ModelRef
from gpu_worker.protocol.nats.mail import ModelWanted

__all__ = ["ModelStore", "ModelsFrom"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
ModelsFrom = Literal["auto", "bot", "source"]
Files = frozenset[tuple[str, str]]
"""Places and hashes."""

SMALL_BYTES = 16 << 20
"""`auto` asks the bot for whatever is no larger: it is there sooner than another host has answered."""


class ModelStore:
    """Used on one event loop."""

    def __init__(
        self,
        get: Get,
        shelf: Shelf,
        own: OwnFiles,
        *,
        budget_bytes: int | None,
        spare_bytes: int,
        models_from: ModelsFrom,
        source: SourceRules,
        retry_s: float,
    ) -> None:
        self._get = get
        self._shelf = shelf
        self._own = own
        self._budget_bytes = budget_bytes
        self._spare_bytes = spare_bytes
        self._from = models_from
        self._source = source
        self._retry_s = retry_s
        self._claims: dict[Hashable, Mapping[str, Files]] = {}
        """By holder: the files of each model, by its stem, that must stay as they are."""
        self._freed = asyncio.Event()
        self._disk = ThreadPoolExecutor(1, "shelf")
        """One thread: what somebody who was cancelled had begun ends before the next begins."""
        self._room = asyncio.Lock()
        self._fetches: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By hash: who wants what another fetches waits for that."""
        self._watchers: dict[str, list[Callable[[int], None]]] = {}
        self._reserved: dict[str, int] = {}
        """By hash: bytes that still have to come of what is being fetched."""

    def room_bytes(self) -> int:
        """Were all that was fetched to go. Blocks."""
        held = self._shelf.bytes + self._shelf.parts_bytes()
        room = self._shelf.free_bytes() - self._spare_bytes + held
        return max(0, room if self._budget_bytes is None else min(room, self._budget_bytes))

    def hash_of(self, fact: ModelFact) -> str | None:
        return self._shelf.hash_of(fact.kind, fact.name)

    async def claim(self, holder: Hashable, refs: Collection[ModelRef]) -> None:
        """Nobody changes these until `release`. Waits while another holder draws with other files of one of these
        names. Raises StockError."""
        wanted: dict[str, set[tuple[str, str]]] = {}
        for ref in refs:
            place = _place(ref)
            wanted.setdefault(_stem(place), set()).add((place, ref.sha256))
        files = {stem: frozenset(found) for stem, found in wanted.items()}
        while not self._fits(files):
            self._freed.clear()
            await self._freed.wait()
        self._claims[holder] = files

    def release(self, holder: Hashable) -> None:
        if self._claims.pop(holder, None) is not None:
            self._freed.set()

    async def missing(self, refs: Sequence[ModelRef]) -> list[ModelRef]:
        def look() -> list[ModelRef]:
            places = [_place(ref) for ref in refs]
            self._shelf.touch(places)
            return [ref for ref, place in zip(refs, places, strict=True) if not self._shelf.has(place, ref.sha256)]

        try:
            return await self._on_disk(look)
        except OSError as error:
            raise disk_trouble(error) from error

    async def drop_strays(self, refs: Sequence[ModelRef], texts: str) -> None:
        """What was fetched for others and would be drawn with, though this job does not name it: the bot no longer has
        it, or has it under another name."""
        named = {_place(ref) for ref in refs}
        for place in await self._on_disk(self._shelf.strays, refs, texts.casefold()):
            if place not in named and place not in self._places():
                await self._on_disk(self._shelf.drop, place)

    async def bring(self, ref: ModelRef, told: Callable[[int], None]) -> None:
        """One that is claimed. `told` hears how many bytes of it there are. Raises StockError."""
        watchers = self._watchers.setdefault(ref.sha256, [])
        watchers.append(told)
        try:
            async with self._fetches.setdefault(ref.sha256, asyncio.Lock()):
                await self._bring(ref, _place(ref))
            told(ref.size_bytes)
        except OSError as error:
            raise disk_trouble(error) from error
        finally:
            watchers.remove(told)
            if not watchers:
                self._watchers.pop(ref.sha256, None)

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _bring(self, ref: ModelRef, place: str) -> None:
        if await self._on_disk(self._shelf.has, place, ref.sha256):
            return
        for rival in await self._on_disk(self._shelf.rivals, place, self._places()):
            await self._on_disk(self._shelf.drop, rival)
        own = await self._on_disk(self._own.find, ref)
        if own is not None and await self._on_disk(self._shelf.link, place, ref.sha256, own):
            log.info("%s %s is a file of this machine: %s", ref.kind, ref.name, own)
            return
        path = self._shelf.part(ref.sha256)
        part = await asyncio.to_thread(PartFile, path)
        try:
            if part.size > ref.size_bytes:
                await asyncio.to_thread(part.restart)
            await self._make_room(ref, part.size)
            log.info("fetching %s %s (%.1f MB)", ref.kind, ref.name, ref.size_bytes / 1e6)
            await self._fill(ref, part)
            await asyncio.to_thread(part.sync)
        finally:
            self._reserved.pop(ref.sha256, None)
            part.close()
        await self._on_disk(self._shelf.put, place, ref.sha256, path)

    async def _fill(self, ref: ModelRef, part: PartFile) -> None:
        def told(size: int) -> None:
            self._reserved[ref.sha256] = ref.size_bytes - size
            for watcher in list(self._watchers.get(ref.sha256, ())):
                watcher(size)

        mixed = part.resumed
        if ref.source is not None and (
            self._from == "source" or (self._from == "auto" and ref.size_bytes > SMALL_BYTES)
        ):
            mixed = True
            try:
                await fetch_source(ref.source, part, ref.size_bytes, told=told, rules=self._source)
            except SourceError as error:
                log.info("%s %s comes from the bot: %s", ref.kind, ref.name, error)
        while True:
            try:
                await fetch_chunks(
                    self._get, lambda offset: ModelWanted(sha256=ref.sha256, offset=offset), part, ref.size_bytes,
                    told=told, retry_s=self._retry_s,
                )  # fmt: skip
            except FileNotFoundError as error:
                detail = {ref.kind: ref.name}
                raise StockError("missing_model", f"the bot does not give {ref.kind} {ref.name}", detail) from error
            except WrongBytesError as error:
                part.remove()
                raise _wrong(ref, str(error)) from error
            if part.sha256 == ref.sha256:
                return
            if not mixed:
                part.remove()
                raise _wrong(ref, "other bytes came than were promised")
            # Perhaps only what an earlier life, or another host, had brought.
            log.warning("%s %s is not what it should be; all of it is fetched from the bot", ref.kind, ref.name)
            mixed = False
            await asyncio.to_thread(part.restart)

    async def _make_room(self, ref: ModelRef, there: int) -> None:
        """Raises StockError where that cannot be had."""
        async with self._room:
            used = self._places()

            def make() -> bool:
                coming = sum(self._reserved.values()) + ref.size_bytes - there

                def short() -> int:
                    disk = coming + self._spare_bytes - self._shelf.free_bytes()
                    if self._budget_bytes is None:
                        return disk
                    parts = self._shelf.parts_bytes()
                    return max(disk, self._shelf.bytes + parts + coming - self._budget_bytes)

                if short() > 0:
                    self._shelf.sweep_parts({*self._reserved, ref.sha256})
                going = list(self._shelf.oldest(used))
                if short() > sum(kept.size_bytes for _, kept in going):
                    return False  # nothing goes for nothing
                for place, _ in going:
                    if short() <= 0:
                        break
                    if self._shelf.drop(place):
                        log.info("%s goes: the room is needed", place)
                return short() <= 0

            if not await self._on_disk(make):
                raise StockError(
                    "disk_full", f"no room for {ref.kind} {ref.name} of {ref.size_bytes} bytes", retryable=True
                )
            self._reserved[ref.sha256] = ref.size_bytes - there

    def _fits(self, files: Mapping[str, Files]) -> bool:
        return all(files.get(stem, found) == found for held in self._claims.values() for stem, found in held.items())

    def _places(self) -> set[str]:
        """Of all that is claimed."""
        return {place for held in self._claims.values() for files in held.values() for place, _ in files}

    async def _on_disk(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, partial(work, *args, **kwargs))


def _place(ref: ModelRef) -> str:
    try:
        return place_of(ref)
    except ValueError as error:
        raise StockError("missing_model", str(error), {ref.kind: ref.name}) from error


def _stem(place: str) -> str:
    return place.rpartition(".")[0]


def _wrong(ref: ModelRef, why: str) -> StockError:
    detail = {ref.kind: ref.name, "problem": "corrupt"}
    return StockError("bad_model", f"{ref.kind} {ref.name}: {why}", detail, retryable=True)
