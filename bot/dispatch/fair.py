"""What policy is made of: a waiting job, the choice of one, and the clock of fair shares. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bot.domain.ids import JobId, UserId
from bot.domain.job import Lane
from bot.domain.queue_rules import Move

__all__ = ["BATCH_SHARE", "MAX_SKIPS", "MAX_WAIT_S", "Candidate", "Choice", "FairClock"]

BATCH_SHARE = 8
MAX_SKIPS = 20
MAX_WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A queued job as policy sees it; candidates come oldest first."""

    id: JobId
    user_id: UserId
    lane: Lane
    model: str
    cost_s: float
    skipped: int = 0
    passed_over_s: float = 0.0
    """Since affinity first let a later job go before it; 0 if it never did. A long queue alone ends no affinity."""
    left_s: float = 0.0
    """Since it was first left to a worker that would finish it sooner; 0 if it never was."""
    guild_id: int | None = None
    joined_at: float = 0.0
    """When it came, or was moved."""
    moved: Move | None = None

    @property
    def overdue(self) -> bool:
        """Affinity lets nobody go before it any more."""
        return self.skipped >= MAX_SKIPS or self.passed_over_s >= MAX_WAIT_S


@dataclass(frozen=True, slots=True)
class Choice:
    job: Candidate
    virtual_s: float
    """Smallest virtual start time among those who waited in the lane: what the clock moves on to."""
    passed_over: tuple[JobId, ...] = ()
    """Jobs that would have gone first but for affinity."""
    payer: UserId | None = None
    """Whose turn a server's front took; None: the job's own user's."""

    @property
    def charged(self) -> Candidate:
        """The job as it is charged: to whoever's turn it was, so that no other server pays for a server's move."""
        return self.job if self.payer is None else replace(self.job, user_id=self.payer)


@dataclass
class FairClock:
    """Virtual time per lane and user, and the number of starts since batch last had one.

    A lane has its own time: the interactive one runs ahead of batch, and would make all batch users equal again.
    """

    virtual: dict[tuple[Lane, UserId], float] = field(default_factory=dict[tuple[Lane, UserId], float])
    now: dict[Lane, float] = field(default_factory=dict[Lane, float])
    """A user who comes back begins here, not in the past."""
    since_batch: int = 0
    _tidy_at: int = 10_000
    """Users of this many are looked through for those long gone."""

    @property
    def is_batch_due(self) -> bool:
        """The next start belongs to batch."""
        return self.since_batch >= BATCH_SHARE - 1

    def start_of(self, lane: Lane, user: UserId) -> float:
        return max(self.virtual.get((lane, user), 0.0), self.now.get(lane, 0.0))

    def started(self, choice: Choice) -> None:
        job = choice.charged
        # Not to the chosen job's own start: affinity may take it from ahead of the others, who must keep their claim.
        self.virtual[job.lane, job.user_id] = self.start_of(job.lane, job.user_id) + job.cost_s
        self.now[job.lane] = max(self.now.get(job.lane, 0.0), choice.virtual_s)
        if job.lane is not Lane.TRAINING:
            self.since_batch = 0 if job.lane is Lane.BATCH else self.since_batch + 1
        if len(self.virtual) > self._tidy_at:
            self.virtual = {key: at for key, at in self.virtual.items() if at > self.now.get(key[0], 0.0)}
            self._tidy_at = max(10_000, 2 * len(self.virtual))

    def refund(self, job: Candidate) -> None:
        """A start that came to nothing through no fault of the job is not paid for."""
        key = (job.lane, job.user_id)
        if key in self.virtual:
            self.virtual[key] = max(0.0, self.virtual[key] - job.cost_s)

    def charge_used(self, job: Candidate, used_s: float) -> None:
        """A start that was broken off is paid for as long as it ran."""
        self.refund(job)
        key = (job.lane, job.user_id)
        self.virtual[key] = self.start_of(*key) + used_s

    def resume(self, used_s: dict[tuple[Lane, UserId], float]) -> None:
        """Starts from what users had lately; newcomers begin level with the least used, so only the order counts."""
        self.virtual = dict(used_s)
        for lane in Lane:
            self.now[lane] = min((at for (its, _), at in used_s.items() if its is lane), default=0.0)

    def copy(self) -> FairClock:
        return FairClock(dict(self.virtual), dict(self.now), self.since_batch, self._tidy_at)
