"""How a sampler name becomes noise levels, a starting point and a loop, for a whole pass or the end of one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

import torch

from gpu_worker.engine.addons import engine_parts
from gpu_worker.engine.calls import Phase, Sampling
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.sampling.dpmpp import dpmpp_2m, dpmpp_2s_ancestral
from gpu_worker.engine.sampling.euler import dpm2, dpm2_ancestral, euler, euler_ancestral, heun
from gpu_worker.engine.sampling.lcm import lcm
from gpu_worker.engine.sampling.multistep import lms
from gpu_worker.engine.sampling.noise import ImageNoise
from gpu_worker.engine.sampling.restart import restart
from gpu_worker.engine.sampling.run import Loop, Run, SamplerOptions
from gpu_worker.engine.sampling.schedules import schedule_sigmas
from gpu_worker.engine.sampling.sde import dpmpp_2m_sde, dpmpp_2m_sde_heun, dpmpp_3m_sde, dpmpp_sde
from gpu_worker.engine.sampling.sigmas import LcmTable, SigmaTable, ddim_timesteps
from gpu_worker.engine.sampling.solver import dpm_adaptive, dpm_fast
from gpu_worker.engine.sampling.timesteps import ddim, ddim_cfgpp, plms
from gpu_worker.engine.sampling.unipc import unipc, unipc_sigma
from gpu_worker.language import passes
from gpu_worker.language.names import BROWNIAN, DISCARDS

__all__ = ["SamplerOptions", "SamplingPlan", "img2img_steps"]

_LOOPS: dict[str, Loop] = {
    "DPM++ 2M": dpmpp_2m,
    "DPM++ SDE": dpmpp_sde,
    "DPM++ 2M SDE": dpmpp_2m_sde,
    "DPM++ 2M SDE Heun": dpmpp_2m_sde_heun,
    "DPM++ 2S a": dpmpp_2s_ancestral,
    "DPM++ 3M SDE": dpmpp_3m_sde,
    "Euler a": euler_ancestral,
    "Euler": euler,
    "LMS": lms,
    "Heun": heun,
    "DPM2": dpm2,
    "DPM2 a": dpm2_ancestral,
    "Restart": restart,
}
SCHEDULE_MAX = 20_000
"""Longest schedule that an exact pass is taken from: 150 steps at a strength of 0.0075."""
_BY_TIMESTEPS = {"DDIM": ddim, "DDIM CFG++": ddim_cfgpp, "PLMS": plms}


@dataclass(frozen=True)
class SamplingPlan:
    """One sampler on one model. `sampler` and `schedule` are labels of language/names.py."""

    sampler: str
    schedule: str
    table: SigmaTable
    options: SamplerOptions = SamplerOptions()  # noqa: RUF009 (frozen)
    sdxl: bool = False
    velocity: bool = False
    """The model predicts v."""

    @property
    def timestep_based(self) -> bool:
        """A mask's picture is shown to the model, instead of replacing its answer (behaviours §9.3.7)."""
        return self.sampler in _BY_TIMESTEPS or self.sampler == "UniPC"

    @property
    def one_at_a_time(self) -> bool:
        """The width of its steps depends on the whole batch: draw one picture at a time, or seeds mean nothing."""
        return self.sampler == "DPM adaptive"

    def from_noise(self, steps: int, noise: ImageNoise, phase: Phase = "sampling") -> Sampling:
        """A whole pass. Raises EngineError `bad_input` for options that leave no schedule."""
        if self.sampler == "UniPC":
            start = self._table.last
            x = noise.first() * math.sqrt(1 + unipc_sigma(self._table, start) ** 2)
            return self._unipc(x, start, len(self._timesteps(steps)), noise, phase)
        if self.sampler in _BY_TIMESTEPS:
            timesteps = self._timesteps(steps)
            # A1111 makes one call fewer than it has timesteps: with one, none, and so bare noise.
            timesteps = timesteps if len(timesteps) > 1 else [1, len(self.table.bars) - 1]
            x = noise.first() * math.sqrt(1 + self.table.vp_sigma(timesteps[-1]) ** 2)
            return self._by_timesteps(x, timesteps, noise, phase)
        sigmas = self._sigmas(steps)
        x = noise.first() * sigmas[0]
        ends = (self.table.high, self.table.low, steps)
        return self._loop(x, sigmas, ends, self._run(sigmas, noise, phase))

    def from_latent(
        self,
        latent: torch.Tensor,
        noise: ImageNoise,
        *,
        steps: int,
        strength: float,
        exact: bool,
        phase: Phase = "sampling",
        noise_multiplier: float = 1.0,
        extra_noise: float = 0.0,
    ) -> Sampling:
        """The end of a longer pass, from `latent` with noise laid over it (behaviours §8.6, §9.2).

        `exact`: just `steps` intervals, as hires fix and "do exactly the amount of steps" have it; otherwise about
        `steps` * `strength`. Where that is no step at all, the latent is returned as it is, without a call.
        """
        total, encoded = img2img_steps(steps, strength, exact=exact)
        if total == 0:
            return _untouched(latent)
        drawn = noise.first() * noise_multiplier
        if self.timestep_based:
            return self._tail_by_timesteps(latent, drawn, noise, total, encoded, phase, extra_noise)
        whole = self._sigmas(total)
        # DDIM's schedule may be shorter than was asked for.
        sigmas = whole[min(total - encoded - 1, len(whole) - 2) :]
        x = latent + drawn * (sigmas[0] + extra_noise)
        ends = (sigmas[0], sigmas[-2], len(sigmas) - 1)
        if self.sampler in {"DPM fast", "DPM adaptive"} and sigmas[0] <= sigmas[-2]:
            # A1111 stops with an error here; one step from the level that was asked for goes on instead.
            return self._loop(x, sigmas, ends, self._run(whole, noise, phase), euler)
        return self._loop(x, sigmas, ends, self._run(whole, noise, phase))

    def _tail_by_timesteps(
        self,
        latent: torch.Tensor,
        drawn: torch.Tensor,
        noise: ImageNoise,
        total: int,
        encoded: int,
        phase: Phase,
        extra_noise: float,
    ) -> Sampling:
        timesteps = self._timesteps(total)
        # A1111 lays on the noise of the timestep above the one it denoises from; kept, for the same pictures.
        mixed_at = timesteps[min(encoded, len(timesteps) - 1)]
        walked = timesteps[:encoded]
        if not walked:
            return _untouched(latent)
        if len(walked) < 2:
            # A1111 makes no call then and leaves the noise in the picture.
            walked = [timesteps[0], max(mixed_at, timesteps[0] + 1)]
        mixed = self.table.vp_sigma(mixed_at)
        # The latent shrinks as its noise grows: x0 / sqrt(1 + sigma^2) + noise * sigma / sqrt(1 + sigma^2).
        x = (latent + drawn * (mixed + extra_noise)) / math.sqrt(1 + mixed**2)
        start = walked[-1]
        if self.sampler == "UniPC":
            x = x * math.sqrt(1 + unipc_sigma(self.table, start) ** 2)
            return self._unipc(x, float(start), len(walked), noise, phase)
        return self._by_timesteps(x * math.sqrt(1 + self.table.vp_sigma(start) ** 2), walked, noise, phase)

    @property
    def _table(self) -> SigmaTable:
        return LcmTable.of(self.table) if self.sampler == "LCM" else self.table

    def _sigmas(self, steps: int) -> list[float]:
        options = self.options
        return schedule_sigmas(
            self.sampler,
            self.schedule,
            steps,
            self._table,
            sigma_min=options.sigma_min,
            sigma_max=options.sigma_max,
            rho=options.rho,
            discard_penultimate=options.discard_penultimate or self.sampler in DISCARDS,
            sdxl=self.sdxl,
        )

    def _timesteps(self, steps: int) -> list[int]:
        """Ascending. "Discard penultimate" asks for one more and discards nothing here, as in A1111."""
        return ddim_timesteps(steps + self.options.discard_penultimate, len(self.table.bars))

    def _run(self, whole: list[float], noise: ImageNoise, phase: Phase) -> Run:
        positive = [sigma for sigma in whole if sigma > 0]
        brownian = noise.brownian(min(positive), max(positive)) if self.sampler in BROWNIAN else None
        return Run(noise.next, brownian or _no_brownian, self.options, phase)

    def _loop(
        self, x: torch.Tensor, sigmas: list[float], ends: tuple[float, float, int], run: Run, loop: Loop | None = None
    ) -> Sampling:
        high, low, calls = ends
        # Levels that are there twice (Simple, beyond a thousand steps) are no steps.
        sigmas = [sigma for sigma, _ in groupby(sigmas)]
        if loop is not None:
            return loop(x, sigmas, run)
        if self.sampler == "DPM fast":
            return dpm_fast(x, high, low, calls, run)
        if self.sampler == "DPM adaptive":
            return dpm_adaptive(x, high, low, run)
        if self.sampler == "LCM":
            return lcm(x, sigmas, LcmTable.of(self.table), run)
        known = _LOOPS.get(self.sampler) or engine_parts().loops.get(self.sampler)
        if known is None:  # an add-on's that could not be loaded here
            detail = {"sampler": self.sampler, "schedule": self.schedule}
            raise EngineError("bad_input", f"no sampler {self.sampler}", detail)
        return known(x, sigmas, run)

    def _by_timesteps(self, x: torch.Tensor, timesteps: list[int], noise: ImageNoise, phase: Phase) -> Sampling:
        run = Run(noise.next, _no_brownian, self.options, phase)
        return _BY_TIMESTEPS[self.sampler](x, timesteps[::-1], self.table, run)

    def _unipc(self, x: torch.Tensor, start: float, steps: int, noise: ImageNoise, phase: Phase) -> Sampling:
        run = Run(noise.next, _no_brownian, self.options, phase)
        return unipc(x, start, steps, self.table, run, velocity=self.velocity)


def img2img_steps(steps: int, strength: float, *, exact: bool) -> tuple[int, int]:
    """Length of the whole schedule and A1111's t_enc, one less than the intervals that are run of it.

    The schedule is entered at index length - t_enc - 1. An exact pass of hardly any strength has a schedule of 0: one
    step of a schedule of many thousands would change nothing, and take all memory.
    """
    found = passes.img2img_steps(steps, strength, exact) if strength > 0 or not exact else None
    if found is None or found.schedule_steps > SCHEDULE_MAX:
        return 0, steps - 1
    return found.schedule_steps, found.t_enc


def _untouched(latent: torch.Tensor) -> Sampling:
    return latent
    yield  # a generator that asks for nothing


def _no_brownian(sigma: float, target: float) -> torch.Tensor:
    raise ValueError("this sampler was not given a Brownian tree")
