"""Who may fetch what: the files that jobs of a machine need, for as long as the table says that it has them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from bot.dispatch.needs import NeededFile
from bot.domain.ids import JobId
from bot.domain.job import Job
from bot.storage.jobs import Jobs
from gpu_worker.language.image_refs import images_in
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.nats.subjects import is_worker_name, machine_and_card

__all__ = ["Entitled", "Serves"]

log = logging.getLogger(__name__)

FRESH_S = 0.2
"""Who is refused has the table read again, but not more often than this: asking for the moon must cost nothing."""
TITLE_S = 2.0
"""A job that is over entitles to nothing any more, so late at most."""


TITLES_MAX = 2000
"""So many are kept at hand; what an older job entitles to is found out again when it is asked for."""


@runtime_checkable
class Serves(Protocol):
    """A transport to machines that fetch."""

    def serve(self, entitled: Entitled) -> None: ...


@dataclass(frozen=True, slots=True)
class _Title:
    models: dict[str, Path] = field(default_factory=dict[str, Path])
    inputs: frozenset[str] = frozenset()


Composed = tuple[m.Assign, Sequence[NeededFile]]


class Entitled:
    def __init__(
        self,
        jobs: Jobs,
        compose: Callable[[Job, str], Awaitable[Composed]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`compose` says what a job's worker was, or would be, told, and puts its inputs where they are served from."""
        self._jobs = jobs
        self._compose = compose
        self._clock = clock
        self._titles: dict[tuple[str, int], _Title] = {}
        """By job and attempt."""
        self._held: dict[str, set[tuple[str, int]]] = {}
        """By machine, as the table said last."""
        self._prepared: dict[str, dict[str, Path]] = {}
        """By machine: of the checkpoint that it was asked to warm up."""
        self._read_at = float("-inf")
        self._turn = asyncio.Lock()

    def note(self, message: m.Assign, needs: Sequence[NeededFile]) -> None:
        """What is just handed out; the table has it already."""
        key = (message.job, message.attempt)
        self._titles[key] = _title(message, needs)
        self._held.setdefault(_machine_of(message.worker), set()).add(key)
        while len(self._titles) > TITLES_MAX:  # nobody may ever ask, and then the table is not read
            oldest = next(iter(self._titles))
            del self._titles[oldest]
            for keys in self._held.values():
                keys.discard(oldest)

    def note_prepare(self, worker: str, needs: Sequence[NeededFile]) -> None:
        self._prepared[_machine_of(worker)] = {needed.ref.sha256: needed.path for needed in needs}

    async def model(self, machine: str, sha256: str) -> Path | None:
        """Where it lies; None for who has no job that needs it."""
        if self._is_stale or self._model(machine, sha256) is None:
            await self._read_again()
        return self._model(machine, sha256)

    async def has_input(self, machine: str, ref: str) -> bool:
        if self._is_stale or not self._has_input(machine, ref):
            await self._read_again()
        return self._has_input(machine, ref)

    @property
    def _is_stale(self) -> bool:
        return self._clock() - self._read_at > TITLE_S

    def _model(self, machine: str, sha256: str) -> Path | None:
        places = [self._prepared.get(machine, {}), *(title.models for title in self._of(machine))]
        return next((place[sha256] for place in places if sha256 in place), None)

    def _has_input(self, machine: str, ref: str) -> bool:
        return any(ref in title.inputs for title in self._of(machine))

    def _of(self, machine: str) -> list[_Title]:
        return [title for key in self._held.get(machine, ()) if (title := self._titles.get(key)) is not None]

    async def _read_again(self) -> None:
        """What the table says; also of jobs that an earlier life of ours handed out."""
        asked_at = self._clock()
        async with self._turn:
            if self._read_at > asked_at:
                return  # by somebody else meanwhile
            if (early_s := self._read_at + FRESH_S - self._clock()) > 0:
                await asyncio.sleep(early_s)
            self._read_at = self._clock()
            await self._read()

    async def _read(self) -> None:
        held: dict[str, set[tuple[str, int]]] = {}
        for claim in await self._jobs.assigned():
            key = (claim.job_id, claim.attempt)
            held.setdefault(_machine_of(claim.worker), set()).add(key)
            if key not in self._titles and (title := await self._title_of(claim.job_id, claim.worker)) is not None:
                self._titles[key] = title
        self._held = held
        known = {key for keys in held.values() for key in keys}
        self._titles = {key: title for key, title in self._titles.items() if key in known}

    async def _title_of(self, job_id: JobId, worker: str) -> _Title | None:
        """None: not now. Nothing is served for that job until it can be told."""
        try:
            job = await self._jobs.get(job_id)
            return _title(*await self._compose(job, worker)) if job is not None else None
        except Exception as error:  # a source that is gone, a file that has no hash yet
            log.warning("what job %s needs cannot be told: %s", job_id, error)
            return None


def _machine_of(worker: str) -> str:
    """What an earlier version wrote may be no name; then it is nobody's."""
    return machine_and_card(worker)[0] if is_worker_name(worker) else ""


def _title(message: m.Assign, needs: Sequence[NeededFile]) -> _Title:
    return _Title({needed.ref.sha256: needed.path for needed in needs}, frozenset(images_in(message)))
