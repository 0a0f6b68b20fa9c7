"""Sampler and schedule names: A1111's labels and aliases, and which of them this version draws with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AUTOMATIC", "SAMPLERS", "SAMPLER_CHOICES", "SCHEDULES", "SamplerChoice", "effective_schedule", "resolve_sampler",
]  # fmt: skip

AUTOMATIC = "Automatic"

SAMPLERS: tuple[str, ...] = ("DPM++ 2M", "Euler a", "DDIM")
"""The samplers that draw."""

SCHEDULES: tuple[str, ...] = (AUTOMATIC, "Uniform", "Karras", "Exponential")
"""The schedules that draw. DDIM spaces its own timesteps and takes no notice of them."""

SAMPLER_CHOICES: tuple[str, ...] = ("DPM++ 2M Karras", "Euler a", "DDIM", "DPM++ 2M", "Euler a Karras")
"""What a user picks from: a sampler, or a sampler and its schedule in one name. `resolve_sampler` reads each."""

# Default schedule and aliases of every sampler of A1111 1.10, so that a pasted name that does not draw yet is at least
# understood (behaviours of the original: modules/sd_samplers_kdiffusion.py, sd_samplers_timesteps.py).
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
# A1111 writes this default differently from the label, so it is never turned back into Automatic.
_NEVER_FOLDED = "Uniform"


@dataclass(frozen=True)
class SamplerChoice:
    sampler: str
    schedule: str

    @property
    def draws(self) -> bool:
        """Whether this version can draw with it."""
        return self.sampler in SAMPLERS and self.schedule in SCHEDULES


def resolve_sampler(name: str, schedule: str | None = None) -> SamplerChoice | None:
    """The canonical sampler and schedule; None where the sampler is unknown.

    A schedule at the end of the name (`DPM++ 2M Karras`) wins over `schedule`; the sampler's own default is written as
    Automatic, as A1111 does. Upper and lower case do not matter (there they do, and an unknown name silently means the
    first sampler of the list). An unknown `schedule` means Automatic.
    """
    wanted = " ".join(name.split()).casefold()
    sampler = _sampler(wanted)
    label = _label(schedule or AUTOMATIC) or AUTOMATIC
    if sampler is None:
        sampler, label = _with_suffix(wanted)
    if sampler is None:
        return None
    if label == _SAMPLERS[sampler][0] and label != _NEVER_FOLDED:
        label = AUTOMATIC
    return SamplerChoice(sampler, label)


def effective_schedule(sampler: str, schedule: str) -> str:
    """What Automatic means for this sampler; any other schedule is itself."""
    return _SAMPLERS[sampler][0] if schedule == AUTOMATIC and sampler in _SAMPLERS else schedule


def _sampler(wanted: str) -> str | None:
    for label, (_, aliases) in _SAMPLERS.items():
        if wanted == label.casefold() or wanted in aliases:
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
