"""/regions: a layout, words for each region, and the desk, or the drawing at once."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bot.domain.actions import edit
from bot.domain.audience import read_audience
from bot.domain.imagine import ImagineOptions
from bot.domain.job import Action
from bot.domain.layouts.keeping import region_notes
from bot.domain.layouts.parts import Arrangement, Part, joined, one_text, parts_of_text
from bot.domain.layouts.rectangles import MOST, background, for_count, read_layout, read_weight
from bot.domain.limits import Limits
from bot.domain.notes import Note
from bot.domain.parameters import Parameters
from bot.domain.pasted import is_infotext
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.studio.intake import Intake
from bot.studio.layouts.desk import LayoutDesk
from bot.studio.layouts.forms import extension_said
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.panels import Panels
from bot.studio.requests import Requests
from bot.studio.where import where_of
from bot.ui.client import Interaction
from gpu_worker.language.regions import END_STEP
from gpu_worker.protocol.specs import JobSpec, Region

__all__ = ["LayoutWish", "Layouts", "arrangement_of"]

WORDLESS = "background"
"""Of a background without words, which no request may be."""


@dataclass(frozen=True, slots=True)
class LayoutWish:
    prompt: str
    """The background; or everything, as `all AND left AND right`."""
    regions: tuple[str, ...] = ()
    """The words of each region, in order."""
    more: str = ""
    """Words of further regions, with `|` or line breaks between them."""
    layout: str | None = None
    """As `read_layout` takes it."""
    weights: str | None = None
    """Of the background and each region, with spaces or commas between them; one number is all regions'."""
    end_step: int | None = None
    loras_apart: bool = False
    extension: str | None = None
    """The line of Latent Couple, which says everything but the words."""
    negative: str | None = None
    style: str | None = None
    lora: str | None = None
    wishes: Parameters = field(default_factory=Parameters)
    draw: bool = False


class Layouts:
    def __init__(
        self,
        *,
        desk: LayoutDesk,
        panels: Panels,
        requests: Requests,
        intake: Intake,
        models: Models,
        limits: Limits,
    ) -> None:
        self._desk = desk
        self._panels = panels
        self._requests = requests
        self._intake = intake
        self._models = models
        self._limits = limits
        self._rng = random.SystemRandom()

    async def begin(self, interaction: Interaction, wish: LayoutWish) -> None:
        """Raises UserFacingError: those of `arrangement_of`, and whatever refuses a request."""
        prompt, private = read_audience(wish.prompt)
        if private is None:
            private = await self._intake.is_private(interaction)
        if is_infotext(prompt):
            # Another picture's text says its own regions.
            pasted = self._requests.build(interaction, ImagineOptions(prompt, wish.negative, wish.lora, wish.wishes))
            spec, notes = pasted.spec, [*pasted.notes]
        else:
            spec, notes = await self._built(interaction, wish, arrangement_of(replace(wish, prompt=prompt)))
        texts = texts_for(str(interaction.locale))
        if wish.draw:
            said = told([*notes, *region_notes(spec)], texts)
            await self._intake.begin(interaction, spec, Action.IMAGINE, notes=said, private=private)
            return
        if not interaction.response.is_done():
            await interaction.response.defer(ephemeral=True, thinking=True)
        draft = await self._panels.add(interaction, spec, Action.IMAGINE, private=private)
        await self._desk.show(interaction, draft, told(notes, texts))

    async def _built(
        self, interaction: Interaction, wish: LayoutWish, arrangement: Arrangement
    ) -> tuple[JobSpec, list[Note]]:
        """Styles and LoRAs are the background's, so first that is built alone; then all words are, as a change of
        it."""
        first, *others = arrangement.parts
        styles, notes = await self._requests.styles(interaction, wish.style)
        options = ImagineOptions(first.text or WORDLESS, wish.negative, wish.lora, wish.wishes)
        built = self._requests.build(interaction, options, styles=styles)
        base = built.spec
        if others:
            changed = edit(
                base,
                # Alone it says nothing; styles and LoRAs beside it are meant.
                prompt=joined(
                    ["" if not first.text and base.prompt == WORDLESS else base.prompt, *(part.text for part in others)]
                ),
                negative_prompt=base.negative_prompt,
                changes=Parameters(),
                facts=self._models.facts(where_of(interaction)),
                limits=self._limits,
                rng=self._rng,
            )
            base = changed.spec
            notes = [*notes, *changed.notes]
        return base.model_copy(update={"regions": arrangement.regions}), [*notes, *built.notes]


def arrangement_of(wish: LayoutWish) -> Arrangement:
    """What the options say together. Raises UserFacingError: `regions_many`, `regions_and`, `regions_weights`,
    `regions_syntax`, and those of `read_layout`."""
    more = [words for words in re.split(r"[|\n]", wish.more) if words.strip()]
    words = [one_text(text) for text in (*wish.regions, *more) if text.strip()]
    texts = parts_of_text(wish.prompt)
    if wish.extension is not None:
        whole = joined([*texts, *words])
        arrangement = extension_said(wish.extension, whole, loras_apart=wish.loras_apart)
        return arrangement if wish.end_step is None else replace(arrangement, end_step=wish.end_step)
    words = [*texts[1:], *words]
    areas: Sequence[Region] = read_layout(wish.layout) if wish.layout else for_count(len(words) or 2)
    if max(len(words), len(areas)) > MOST:
        raise UserFacingError("regions_many", most=MOST)
    if len(words) > len(areas):
        raise UserFacingError("regions_places", words=len(words), places=len(areas))
    words += [""] * (len(areas) - len(words))
    parts = (Part(texts[0], background()), *(Part(text, area) for text, area in zip(words, areas, strict=True)))
    if wish.weights:
        parts = _weighted(parts, wish.weights)
    end = END_STEP if wish.end_step is None else wish.end_step
    return Arrangement(tuple(parts), end_step=end, loras_apart=wish.loras_apart)


def _weighted(parts: Sequence[Part], text: str) -> tuple[Part, ...]:
    """Raises UserFacingError: `regions_weight`, `regions_weights`."""
    numbers = [read_weight(word) for word in re.split(r"[\s;,]+", text.strip()) if word]
    if len(numbers) == 1:
        numbers = [parts[0].region.weight, *numbers * (len(parts) - 1)]
    if len(numbers) != len(parts):
        raise UserFacingError("regions_weights", given=len(numbers), wanted=len(parts))
    return tuple(
        replace(part, region=part.region.model_copy(update={"weight": weight}))
        for part, weight in zip(parts, numbers, strict=True)
    )
