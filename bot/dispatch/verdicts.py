"""Who says which pictures of a finished job are kept, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.job import Job
from bot.storage.picture_looks import PictureLook
from gpu_worker.protocol import messages as m

__all__ = ["WITHHELD", "ResultJudge", "Verdict"]

WITHHELD = "withheld"
"""`Job.failure_kind` where no picture was kept; its detail has the reason. No worker says so: the bot does."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kept` by index of the output, with what a classifier said; every other output is never stored. `reason` is why
    any was not kept."""

    kept: Mapping[int, PictureLook | None]
    reason: str | None = None


class ResultJudge(Protocol):
    async def judge(self, job: Job, outputs: Sequence[m.Output]) -> Verdict:
        """Before anything of them is stored. May be asked again of the same job, and then says the same."""
        ...

    async def told(self, job: Job, verdict: Verdict) -> None:
        """Once it is committed. Never raises."""
        ...
