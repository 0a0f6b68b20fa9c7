"""Sampler and schedule as a user names them."""

from __future__ import annotations

from bot.domain.mentions import spoken
from bot.domain.models import closest
from bot.errors import UserFacingError
from gpu_worker.language.names import SAMPLER_CHOICES, SCHEDULES, SamplerChoice, resolve_sampler, sampler_choices

__all__ = ["choose_sampler", "choose_schedule"]


def choose_sampler(name: str | None, schedule: str | None) -> SamplerChoice:
    """Raises UserFacingError: `sampler_unknown`, `schedule_unknown`, `schedule_twice`."""
    name = name or SAMPLER_CHOICES[0]
    if resolve_sampler(name) is None:
        near = ", ".join(closest(name, sampler_choices()))
        raise UserFacingError("sampler_unknown", name=spoken(name), closest=near)
    choice = resolve_sampler(name, schedule)
    assert choice is not None, "known by its name alone, so known with a schedule"
    # `resolve_sampler` reads an unknown schedule as Automatic and lets one in the name win; both would go unsaid.
    if schedule and resolve_sampler(f"{choice.sampler} {schedule}") is None:
        raise UserFacingError(
            "schedule_unknown", name=spoken(schedule), closest=", ".join(closest(schedule, SCHEDULES))
        )
    if (
        schedule
        and resolve_sampler(f"{name} {schedule}") is None
        and choice != resolve_sampler(choice.sampler, schedule)
    ):
        raise UserFacingError("schedule_twice", name=spoken(name), schedule=spoken(schedule))
    return choice


def choose_schedule(schedule: str, sampler: str) -> str:
    """The canonical schedule alone. Raises UserFacingError: `schedule_unknown`."""
    choice = resolve_sampler(sampler, schedule)
    if choice is None or resolve_sampler(f"{sampler} {schedule}") is None:
        raise UserFacingError(
            "schedule_unknown", name=spoken(schedule), closest=", ".join(closest(schedule, SCHEDULES))
        )
    return choice.schedule
