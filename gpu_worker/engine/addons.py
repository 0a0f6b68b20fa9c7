"""The parts of add-ons that a worker uses: imported here, each guarded, and handed to samplers and upscalers."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.sampling.run import Loop
from gpu_worker.language.addons import FoundAddon, installed_addons
from gpu_worker.language.names import SAMPLERS
from gpu_worker.protocol.messages import AddonFact, ModelFact

__all__ = ["EngineParts", "Upscaling", "engine_parts", "load_parts"]

log = logging.getLogger(__name__)

Upscaling = Callable[[Picture, float], Picture]
_TAKEN = frozenset({"none", "lanczos", "nearest"})


@dataclass(frozen=True)
class EngineParts:
    loops: dict[str, Loop] = field(default_factory=dict[str, Loop])
    upscalers: dict[str, Upscaling] = field(default_factory=dict[str, Upscaling])
    told: tuple[AddonFact, ...] = ()

    def facts(self) -> tuple[ModelFact, ...]:
        """Upscalers stand in the list of models, where the bot looks for them."""
        return tuple(ModelFact(kind="upscaler", name=name) for name in self.upscalers)


@cache
def engine_parts() -> EngineParts:
    return load_parts(installed_addons())


def load_parts(addons: Iterable[FoundAddon]) -> EngineParts:
    """Never raises: a part that cannot be imported is its add-on's problem, and the others are used."""
    loops: dict[str, Loop] = {}
    upscalers: dict[str, Upscaling] = {}
    told: list[AddonFact] = []
    for found in addons:
        if found.off:
            continue
        problems = [found.problem] if found.problem else []
        names: list[str] = []
        for part in found.addon.samplers if found.addon is not None else ():
            loop = _imported(found, part.loop, problems)
            if loop is not None and part.name in (*SAMPLERS, *loops):
                problems.append(f"there is a sampler {part.name} already")
            elif loop is not None:
                loops[part.name] = loop
                names.append(f"sampler {part.name}")
        for part in found.addon.upscalers if found.addon is not None else ():
            function = _imported(found, part.function, problems)
            if function is not None and (part.name.casefold() in _TAKEN or part.name in upscalers):
                problems.append(f"there is an upscaler {part.name} already")
            elif function is not None:
                upscalers[part.name] = function
                names.append(f"upscaler {part.name}")
        told.append(
            AddonFact(
                name=found.name, version=found.version, parts=tuple(names), problem="; ".join(problems)[:500] or None
            )
        )
    return EngineParts(loops, upscalers, tuple(told))


def _imported(found: FoundAddon, place: str, problems: list[str]) -> Any:
    module, _, name = place.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        log.exception("add-on %s: %s cannot be loaded", found.name, place)
        problems.append(f"{place}: {type(error).__name__}: {error}"[:300])
        return None
    if not callable(function):
        problems.append(f"{place} cannot be called")
        return None
    return function
