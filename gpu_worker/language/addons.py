"""Add-ons: installed Python packages that declare the entry point group `pincel.addons` (docs/addons.md).

Bot and worker find the same ones with this module. What the entry point names is an `Addon`, which holds nothing but
text: the modules behind it are imported by the process that uses them, so the bot never loads a sampler's torch. An
add-on that raises, whatever it raises, is one with a problem, and never stops who asks.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata

__all__ = [
    "API", "GROUP", "OFF", "Addon", "FoundAddon", "SamplerPart", "UpscalerPart", "added_samplers", "find_addons",
    "installed_addons",
]  # fmt: skip

log = logging.getLogger(__name__)

GROUP = "pincel.addons"
API = 1
"""Grows when an add-on would have to be changed."""
OFF = "PINCEL_ADDONS_OFF"
"""Names of entry points that are left alone, or `all`; of the environment, so that bot and worker agree."""
_HEAVY = ("torch", "numpy", "diffusers", "transformers")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 +.#()_-]{0,59}")
_PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_MODULE = re.compile(r"[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class SamplerPart:
    name: str
    loop: str
    """`module:function` of a loop as in gpu_worker/engine/sampling/run.py: (x, sigmas, run) → a generator."""
    schedule: str = "Karras"
    """What "Automatic" means for it; a label of gpu_worker/language/names.py."""
    aliases: tuple[str, ...] = ()
    """Lower case."""
    second_order: bool = False
    """Two model calls a step."""


@dataclass(frozen=True, slots=True)
class UpscalerPart:
    name: str
    function: str
    """`module:function`, called as f(picture, scale): uint8 RGB of height, width, 3; returns one of any larger size."""


@dataclass(frozen=True, slots=True)
class Addon:
    """What a package says of itself."""

    title: str
    description: str = ""
    api: int = API
    cogs: tuple[str, ...] = ()
    """Modules with discord.py's `async def setup(bot)`."""
    samplers: tuple[SamplerPart, ...] = ()
    upscalers: tuple[UpscalerPart, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundAddon:
    """`addon` is None where `problem` says why it cannot be used."""

    name: str
    """Of the entry point."""
    package: str
    version: str
    addon: Addon | None = None
    problem: str | None = None
    off: bool = False
    """The operator left it alone."""
    heavy: tuple[str, ...] = ()
    """Libraries that only its import brought into this process; none of them may be in the bot."""


def find_addons(entry_points: Iterable[metadata.EntryPoint], off: Iterable[str] = ()) -> tuple[FoundAddon, ...]:
    """Each guarded, in the order of their names; the second of one name is left out with a problem."""
    unwanted = {name.strip().casefold() for name in off if name.strip()}
    found: dict[str, FoundAddon] = {}
    doubled: list[FoundAddon] = []
    for point in sorted(entry_points, key=lambda point: (point.name.casefold(), point.value)):
        one = _load(point, unwanted)
        if point.name.casefold() in found:
            doubled.append(FoundAddon(one.name, one.package, one.version, problem="another add-on has this name"))
        else:
            found[point.name.casefold()] = one
    return (*found.values(), *doubled)


@cache
def installed_addons() -> tuple[FoundAddon, ...]:
    """Those of this environment. The first call imports them; later ones cost nothing."""
    try:
        points = metadata.entry_points(group=GROUP)
    except Exception:
        log.exception("the installed packages cannot be listed; no add-on is loaded")
        return ()
    return find_addons(points, os.environ.get(OFF, "").split(","))


@cache
def added_samplers() -> dict[str, SamplerPart]:
    """Label → part, of all add-ons that can be used; the first who gives a name keeps it."""
    found: dict[str, SamplerPart] = {}
    for one in installed_addons():
        for part in one.addon.samplers if one.addon is not None else ():
            found.setdefault(part.name, part)
    return found


def _load(point: metadata.EntryPoint, unwanted: set[str]) -> FoundAddon:
    package = point.dist.name if point.dist is not None else ""
    version = point.dist.version if point.dist is not None else ""
    if "all" in unwanted or point.name.casefold() in unwanted:
        return FoundAddon(point.name, package, version, off=True)
    before = {name for name in _HEAVY if name in sys.modules}
    try:
        value = point.load()
        addon: object = value() if callable(value) else value
        problem = _problem(addon)
    except (Exception, SystemExit) as error:
        log.exception("add-on %s cannot be loaded", point.name)
        return FoundAddon(point.name, package, version, problem=f"{type(error).__name__}: {error}"[:300])
    heavy = tuple(name for name in _HEAVY if name in sys.modules and name not in before)
    if problem is not None or not isinstance(addon, Addon):
        log.error("add-on %s: %s", point.name, problem)
        return FoundAddon(point.name, package, version, problem=problem, heavy=heavy)
    return FoundAddon(point.name, package, version, addon, heavy=heavy)


def _problem(addon: object) -> str | None:
    """What is wrong with what an entry point gave."""
    if not isinstance(addon, Addon):
        return "its entry point names no Addon"
    if addon.api != API:
        return f"it is made for version {addon.api} of the add-on interface, and this is {API}"
    for name in (*(part.name for part in addon.samplers), *(part.name for part in addon.upscalers)):
        if not _NAME.fullmatch(name):
            return f"{name!r} is no name for a part"
    places = [part.loop for part in addon.samplers] + [part.function for part in addon.upscalers]
    for place in places:
        if not _PLACE.fullmatch(place):
            return f"{place!r} is not of the form module:function"
    for module in addon.cogs:
        if not _MODULE.fullmatch(module):
            return f"{module!r} is no module's name"
    return None
