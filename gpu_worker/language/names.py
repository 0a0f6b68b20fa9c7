"""Sampler and schedule names: A1111's labels, aliases and flags (1.10; behaviours §7.2 and §7.3)."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.language.addons import added_samplers

__all__ = [
    "AUTOMATIC", "BROWNIAN", "DISCARDS", "SAMPLERS", "SAMPLER_CHOICES", "SCHEDULES", "SECOND_ORDER", "USES_ENSD",
    "SamplerChoice", "effective_schedule", "is_second_order", "resolve_sampler", "sampler_and_schedule",
    "sampler_choices",
]  # fmt: skip

AUTOMATIC = "Automatic"

# Label, default schedule, aliases, in the order of A1111's interface.
_SAMPLERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "DPM++ 2M": ("Karras", ("k_dpmpp_2m",)),
    "DPM++ SDE": ("Karras", ("k_dpmpp_sde",)),
    "DPM++ 2M SDE": ("Exponential", ("k_dpmpp_2m_sde",)),
    "DPM++ 2M SDE Heun": ("Exponential", ("k_dpmpp_2m_sde_heun",)),
    "DPM++ 2S a": ("Karras", ("k_dpmpp_2s_a",)),
    "DPM++ 3M SDE": ("Exponential", ("k_dpmpp_3m_sde",)),
    "Euler a": ("Uniform", ("k_euler_a", "k_euler_ancestral")),
    "Euler": ("Uniform", ("k_euler",)),
    "LMS": ("Uniform", ("k_lms",)),
    "Heun": ("Uniform", ("k_heun",)),
    "DPM2": ("Karras", ("k_dpm_2",)),
    "DPM2 a": ("Karras", ("k_dpm_2_a",)),
    "DPM fast": ("Uniform", ("k_dpm_fast",)),
    "DPM adaptive": ("Uniform", ("k_dpm_ad",)),
    "Restart": ("Karras", ("restart",)),
    "DDIM": (AUTOMATIC, ("ddim",)),
    "DDIM CFG++": (AUTOMATIC, ("ddim_cfgpp",)),
    "PLMS": (AUTOMATIC, ("plms",)),
    "UniPC": (AUTOMATIC, ("unipc",)),
    "LCM": (AUTOMATIC, ("k_lcm",)),
}
# Label, then name and aliases, in the order of A1111's interface.
_SCHEDULES: dict[str, tuple[str, ...]] = {
    AUTOMATIC: ("automatic",),
    "Uniform": ("uniform",),
    "Karras": ("karras",),
    "Exponential": ("exponential",),
    "Polyexponential": ("polyexponential",),
    "SGM Uniform": ("sgm_uniform", "SGMUniform"),
    "KL Optimal": ("kl_optimal",),
    "Align Your Steps": ("align_your_steps",),
    "Simple": ("simple",),
    "Normal": ("normal",),
    "DDIM": ("ddim",),
    "Beta": ("beta",),
}
# For A1111 Uniform is no sampler's declared default, only what Automatic ends up with: it is never folded into it.
_NEVER_FOLDED = "Uniform"

SAMPLERS: tuple[str, ...] = tuple(_SAMPLERS)
SCHEDULES: tuple[str, ...] = tuple(_SCHEDULES)
"""Samplers with timesteps of their own (DDIM, DDIM CFG++, PLMS, UniPC) and LCM take no notice of a schedule."""

SAMPLER_CHOICES: tuple[str, ...] = (
    "DPM++ 2M Karras", "DPM++ SDE Karras", "DPM++ 2M SDE Exponential", "DPM++ 2M SDE Karras", "Euler a", "Euler",
    "DPM++ 3M SDE Exponential", "DPM++ 2S a Karras", "DPM++ 2M SDE Heun Exponential", "Heun", "DDIM", "UniPC", "LCM",
    "LMS", "LMS Karras", "DPM2 Karras", "DPM2 a Karras", "Euler a Karras", "Restart Karras", "DPM fast", "DPM adaptive",
    "PLMS", "DDIM CFG++",
)  # fmt: skip
"""What a user picks from: a sampler, or a sampler and its schedule in one name. `resolve_sampler` reads each.
At most 24, because a Discord list has 25 rows and a form puts the current one first."""

SECOND_ORDER = frozenset({"DPM++ SDE", "DPM++ 2S a", "Heun", "DPM2", "DPM2 a", "Restart"})
"""Two model calls a step: the prompt's schedule is made for twice the steps (behaviours §2.3)."""
USES_ENSD = frozenset({"DPM++ 2S a", "Euler a", "DPM2 a", "DPM fast", "DPM adaptive"})
"""The infotext names a noise seed delta for these alone."""
DISCARDS = frozenset({"DPM++ 3M SDE", "DPM2", "DPM2 a"})
"""One sigma more is asked of the schedule, and the last but one removed."""
BROWNIAN = frozenset({"DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE"})
"""Noise comes from a Brownian tree (behaviours §6)."""


_CHOICES_MAX = 24


def is_second_order(sampler: str) -> bool:
    """Add-ons' samplers included."""
    added = added_samplers().get(sampler)
    return sampler in SECOND_ORDER or (added is not None and added.second_order)


def sampler_choices() -> tuple[str, ...]:
    """`SAMPLER_CHOICES`, and of the add-ons' as many as a list holds; all of them can be typed."""
    return (*SAMPLER_CHOICES, *(name for name in added_samplers() if name not in _SAMPLERS))[:_CHOICES_MAX]


@dataclass(frozen=True)
class SamplerChoice:
    sampler: str
    schedule: str


def sampler_and_schedule(
    name: str | None, schedule: str | None = None, convert_automatic: bool = True
) -> SamplerChoice:
    """Exactly A1111's reading of the two names: case matters, aliases of samplers are unknown, and what is unknown
    silently means the first sampler, or Automatic. A schedule at the end of the name wins over `schedule`.

    `convert_automatic`: the sampler's declared default is written as Automatic.
    """
    rest = name or SAMPLERS[0]
    label = schedule if schedule in _SCHEDULES else AUTOMATIC
    for candidate, aliases in _SCHEDULES.items():
        if schedule == aliases[0]:
            label = candidate
    # One ending of each schedule is cut off, in the order of the list; so "Euler SGM Uniform" ends as Uniform.
    for candidate, aliases in _SCHEDULES.items():
        ending = next((f" {text}" for text in (candidate, *aliases) if rest.endswith(f" {text}")), None)
        if ending is not None:
            rest, label = rest.removesuffix(ending), candidate
    sampler = rest if rest in _SAMPLERS else SAMPLERS[0]
    return SamplerChoice(sampler, _folded(sampler, label) if convert_automatic else label)


def resolve_sampler(name: str, schedule: str | None = None) -> SamplerChoice | None:
    """The canonical sampler and schedule; None where the sampler is unknown.

    `sampler_and_schedule` for people: upper and lower case and aliases do not matter, a schedule of several words may
    end the name, and nothing unknown becomes another sampler. An unknown `schedule` means Automatic.
    """
    wanted = " ".join(name.split()).casefold()
    sampler = _sampler(wanted)
    label = _label(schedule or AUTOMATIC) or AUTOMATIC
    if sampler is None:
        sampler, label = _with_suffix(wanted)
    return None if sampler is None else SamplerChoice(sampler, _folded(sampler, label))


def effective_schedule(sampler: str, schedule: str) -> str:
    """What Automatic means for this sampler; any other schedule is itself."""
    return _default(sampler) if schedule == AUTOMATIC else schedule


def _folded(sampler: str, label: str) -> str:
    return AUTOMATIC if label == _default(sampler) and label != _NEVER_FOLDED else label


def _default(sampler: str) -> str:
    """The declared default schedule; Automatic for a sampler that nobody knows."""
    if sampler in _SAMPLERS:
        return _SAMPLERS[sampler][0]
    added = added_samplers().get(sampler)
    return added.schedule if added is not None and added.schedule in _SCHEDULES else AUTOMATIC


def _sampler(wanted: str) -> str | None:
    for label, (_, aliases) in _SAMPLERS.items():
        if wanted == label.casefold() or wanted in aliases:
            return label
    for label, added in added_samplers().items():
        if wanted == label.casefold() or wanted in added.aliases:
            return label
    return None


def _label(schedule: str) -> str | None:
    wanted = schedule.strip().casefold()
    for label, aliases in _SCHEDULES.items():
        if wanted == label.casefold() or wanted in [alias.casefold() for alias in aliases]:
            return label
    return None


def _with_suffix(wanted: str) -> tuple[str | None, str]:
    for label, aliases in _SCHEDULES.items():
        for ending in (label, *aliases):
            if wanted.endswith(" " + ending.casefold()):
                sampler = _sampler(wanted[: -len(ending) - 1])
                if sampler is not None:
                    return sampler, label
    return None, AUTOMATIC
