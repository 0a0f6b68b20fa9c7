"""The card of maps: what a preprocessor made of a picture, with what it went by, or all that led a drawing."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.delivery.cards import Picture
from bot.delivery.looked import job_card
from bot.domain.job import Job
from bot.i18n import Texts, texts_for
from bot.ui.buttons import AddressButton, button
from bot.ui.codec import Verb
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.protocol.specs import Preprocess

__all__ = ["mapped_card", "numbers_of"]


def mapped_card(
    job: Job, pictures: Sequence[Picture], *, notes: Sequence[str] = (), source_owner: int | None = None
) -> discord.ui.LayoutView:
    texts = texts_for(job.locale)
    assert isinstance(job.task, Preprocess), "the card of a map"
    maps = job.task.maps
    gallery = [
        discord.MediaGalleryItem(
            f"attachment://{each.filename}",
            description=texts("mapped.title", preprocessor=_named(maps, each.image.index))[:1000],
            spoiler=each.spoiler,
        )
        for each in pictures
        if each.filename is not None
    ]
    lines = [_line(job, pictures, at, texts) for at in range(len(maps))]
    one = pictures[0].image if len(pictures) == 1 else None
    row: list[AddressButton] = []
    if one is not None and len(maps) == 1:
        row = [
            button(Verb.AS_UNIT, one.id, texts("button.as_unit"), style=discord.ButtonStyle.primary, emoji="🕹️"),
            button(Verb.MAP_ADJUST, job.id, texts("button.map_adjust"), emoji="🎚️"),
            button(Verb.ENLARGE, one.id, texts("button.enlarge"), emoji="🔍"),
        ]
    row.append(button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️"))
    return job_card(job, texts, "", gallery, [row], [*lines, *notes], source_owner)


def numbers_of(spec: Preprocess, texts: Texts) -> list[str]:
    """Its resolution and sliders, by the names that A1111 gives them; nothing for one that has none."""
    entry = find_preprocessor(spec.preprocessor)
    if entry is None:
        return []
    found: list[str] = []
    if spec.pixel_perfect:
        found.append(texts("mapped.perfect"))
    elif entry.resolution is not None:
        found.append(texts("mapped.resolution", n=spec.processor_resolution))
    for slider, value in ((entry.a, spec.threshold_a), (entry.b, spec.threshold_b)):
        if slider is not None:
            found.append(f"{slider.label} {slider.bounded(value):g}")
    return found


def _line(job: Job, pictures: Sequence[Picture], at: int, texts: Texts) -> str:
    assert isinstance(job.task, Preprocess), "the card of a map"
    maps = job.task.maps
    facts = numbers_of(maps[at], texts)
    image = next((each.image for each in pictures if each.image.index == at), None)
    if image is not None:
        facts.insert(0, texts("looked.size", width=image.width, height=image.height))
    line = " · ".join(facts)
    return line if len(maps) == 1 else f"{at + 1} **{maps[at].preprocessor}** {line}"


def _named(maps: Sequence[Preprocess], index: int) -> str:
    return maps[index].preprocessor if index < len(maps) else ""
