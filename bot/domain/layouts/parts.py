"""A prompt's parts with their regions: read out of a request, changed, and put back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.domain.layouts.rectangles import MOST, background
from bot.domain.mentions import spoken
from bot.errors import UserFacingError
from gpu_worker.language.networks import NETWORK_TAG
from gpu_worker.language.schedule import AND
from gpu_worker.protocol.specs import REGIONS_MAX, JobSpec, Region, Regions

__all__ = ["Arrangement", "Part", "joined", "one_text", "parts_of_text"]

_TAG_OR_AND = re.compile(rf"(?P<tag>{NETWORK_TAG.pattern})|{AND.pattern}")


@dataclass(frozen=True, slots=True)
class Part:
    text: str
    """With its LoRA tags and, at its end, its weight of the `AND`."""
    region: Region


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What a desk shows. A part without a region counts everywhere, which is a region of the whole picture with weight
    1; a region without a part is nothing."""

    parts: tuple[Part, ...]
    end_step: int = 20
    loras_apart: bool = False

    @classmethod
    def of(cls, spec: JobSpec) -> Arrangement:
        regions = spec.regions
        texts = parts_of_text(spec.prompt)
        if regions is None:
            return cls(tuple(Part(text, Region()) for text in texts))
        areas = [*regions.areas, *[Region()] * len(texts)]
        parts = tuple(Part(text, area) for text, area in zip(texts, areas, strict=False))
        return cls(parts, regions.end_step, regions.loras_apart)

    @property
    def prompt(self) -> str:
        return joined([part.text for part in self.parts])

    @property
    def regions(self) -> Regions | None:
        """None where there is but one part, which no region could set apart from anything."""
        if len(self.parts) < 2:
            return None
        areas = tuple(part.region for part in self.parts[:REGIONS_MAX])
        return Regions(areas=areas, end_step=self.end_step, loras_apart=self.loras_apart)

    def changed(self, at: int, part: Part) -> Arrangement:
        """Raises UserFacingError (`regions_gone`)."""
        self._there(at)
        return replace(self, parts=(*self.parts[:at], part, *self.parts[at + 1 :]))

    def added(self, part: Part) -> Arrangement:
        """A first region comes with its background. Raises UserFacingError (`regions_many`)."""
        if len(self.parts) > MOST:
            raise UserFacingError("regions_many", most=MOST)
        first = self.parts
        if len(first) == 1 and first[0].region == Region():
            first = (replace(first[0], region=background()),)
        return replace(self, parts=(*first, part))

    def removed(self, at: int) -> Arrangement:
        """The last one stays. Raises UserFacingError (`regions_gone`)."""
        self._there(at)
        if len(self.parts) == 1:
            raise UserFacingError("regions_gone")
        return replace(self, parts=(*self.parts[:at], *self.parts[at + 1 :]))

    def relaid(self, areas: Sequence[Region]) -> Arrangement:
        """The regions behind the background in other places, which keep their weights; missing ones get no words yet,
        superfluous parts go."""
        first, *others = self.parts
        if not others:
            first = replace(first, region=background())
        laid = [
            Part(others[at].text, area.model_copy(update={"weight": others[at].region.weight}))
            if at < len(others)
            else Part("", area)
            for at, area in enumerate(areas)
        ]
        return replace(self, parts=(first, *laid))

    def _there(self, at: int) -> None:
        if not 0 <= at < len(self.parts):
            raise UserFacingError("regions_gone")


def parts_of_text(prompt: str) -> list[str]:
    """Between the words AND outside of tags."""
    found, start = list[str](), 0
    for match in _TAG_OR_AND.finditer(prompt):
        if not match["tag"]:
            found.append(prompt[start : match.start()].strip())
            start = match.end()
    return [*found, prompt[start:].strip()]


def joined(texts: Sequence[str]) -> str:
    return " AND ".join(text.strip() for text in texts).strip()


def one_text(text: str) -> str:
    """A region's own words. Raises UserFacingError (`regions_and`) for a word that would make two of it."""
    typed = " ".join(text.split())
    if len(parts_of_text(typed)) > 1:
        raise UserFacingError("regions_and", text=spoken(typed[:60]))
    return typed
