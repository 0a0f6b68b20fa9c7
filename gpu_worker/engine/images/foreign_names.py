"""Other programs' names of samplers and schedules, in A1111's."""

from __future__ import annotations

from gpu_worker.language.names import resolve_sampler

__all__ = ["sampler_of"]

# ComfyUI's, NovelAI's (with k_ in front) and InvokeAI's names.
_SAMPLERS = {
    "euler": "Euler", "euler_ancestral": "Euler a", "euler_a": "Euler a", "heun": "Heun", "lms": "LMS", "dpm_2": "DPM2",
    "kdpm_2": "DPM2", "dpm_2_ancestral": "DPM2 a", "dpm_2_a": "DPM2 a", "kdpm_2_a": "DPM2 a", "dpm_fast": "DPM fast",
    "dpm_adaptive": "DPM adaptive", "dpmpp_2s_ancestral": "DPM++ 2S a", "dpmpp_2s": "DPM++ 2S a", "dpmpp_2": "DPM++ 2M",
    "dpmpp_sde": "DPM++ SDE", "dpmpp_2m": "DPM++ 2M", "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun", "dpmpp_3m_sde": "DPM++ 3M SDE", "ddim": "DDIM", "ddim_v3": "DDIM",
    "plms": "PLMS", "pndm": "PLMS", "uni_pc": "UniPC", "uni_pc_bh2": "UniPC", "unipc": "UniPC", "lcm": "LCM",
    "restart": "Restart", "ddim_cfgpp": "DDIM CFG++",
}  # fmt: skip
_SCHEDULES = {
    "normal": "Normal", "karras": "Karras", "exponential": "Exponential", "sgm_uniform": "SGM Uniform",
    "simple": "Simple", "ddim_uniform": "DDIM", "beta": "Beta", "kl_optimal": "KL Optimal",
    "align_your_steps": "Align Your Steps", "polyexponential": "Polyexponential",
}  # fmt: skip


def sampler_of(name: str, schedule: str | None = None) -> tuple[str, str | None] | None:
    """Labels of sampler and schedule (None: unsaid); None for a sampler that A1111 does not have.

    InvokeAI writes its Karras schedule as `_k` behind the name.
    """
    wanted = name.strip().lower()
    label = _SCHEDULES.get((schedule or "").strip().lower())
    stem = wanted.removeprefix("k_").removesuffix("_gpu")
    if stem in _SAMPLERS:
        return _SAMPLERS[stem], label
    if stem.endswith("_k") and stem[:-2] in _SAMPLERS:
        return _SAMPLERS[stem[:-2]], "Karras"
    known = resolve_sampler(name, schedule)
    return (known.sampler, label or known.schedule) if known else None
