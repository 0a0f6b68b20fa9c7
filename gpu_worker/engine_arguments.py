"""The operator's choices about the engine as command-line options, for the worker and for `imagine`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import get_args

from gpu_worker.engine.options import Attention, EngineOptions, Memory, Precision, Switch

__all__ = ["add_engine_arguments", "engine_options"]


def add_engine_arguments(parser: argparse.ArgumentParser, environment: Mapping[str, str] | None = None) -> None:
    """`environment` gives defaults under the names of .env; a value there that cannot be used is left aside."""
    given = {key.upper(): value.strip().lower() for key, value in (environment or {}).items()}

    def one_of(setting: str, values: tuple[str, ...]) -> str:
        value = given.get(setting, "")
        return value if value in values else values[0]

    group = parser.add_argument_group("engine")
    add = group.add_argument
    add("--device", default=given.get("PINCEL_DEVICE") or "auto", help="auto, cpu, cuda or cuda:1")
    for name, setting, kind, text in (
        ("--memory", "PINCEL_MEMORY", Memory, "how much of a model stays on the card"),
        ("--attention", "PINCEL_ATTENTION", Attention, "how attention is computed"),
        ("--precision", "PINCEL_PRECISION", Precision, "numbers that models are computed with"),
        ("--channels-last", "PINCEL_CHANNELS_LAST", Switch, "order of the numbers in memory"),
        ("--tiled-vae", "PINCEL_TILED_VAE", Switch, "decode in tiles"),
    ):
        values = get_args(kind)
        add(name, choices=values, default=one_of(setting, values), help=f"{text} (default: %(default)s)")
    add("--no-half-vae", action="store_true", default=given.get("PINCEL_NO_HALF_VAE") in ("on", "true", "1", "yes"),
        help="always decode in fp32")  # fmt: skip
    steps = _number(given.get("PINCEL_LDSR_STEPS", ""))
    add("--ldsr-steps", type=int, choices=range(1, 1001), metavar="N", default=int(steps) if steps else 100,
        help="steps of the upscaler LDSR (default: %(default)s)")  # fmt: skip
    for name, setting, text in (
        ("--ram-cache-gb", "PINCEL_RAM_CACHE_GB", "memory for loaded models"),
        ("--vram-cache-gb", "PINCEL_VRAM_CACHE_GB", "memory of the card for loaded models"),
    ):
        add(name, type=float, default=_number(given.get(setting, "")), metavar="GB", help=text)


def engine_options(arguments: argparse.Namespace) -> EngineOptions:
    return EngineOptions(
        device=None if arguments.device == "auto" else arguments.device,
        memory=arguments.memory,
        attention=arguments.attention,
        precision=arguments.precision,
        channels_last=arguments.channels_last,
        tiled_vae=arguments.tiled_vae,
        no_half_vae=arguments.no_half_vae,
        ldsr_steps=arguments.ldsr_steps,
        ram_cache_gb=arguments.ram_cache_gb,
        vram_cache_gb=arguments.vram_cache_gb,
    )


def _number(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
