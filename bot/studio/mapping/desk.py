"""Buttons, lists and forms that make maps."""

from __future__ import annotations

from collections.abc import Mapping as Fields

from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.job import Job
from bot.domain.mapping import MapWish
from bot.domain.values import decimal, whole
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.finds import Finds, FoundPicture
from bot.storage.jobs import Jobs
from bot.studio.looking.pointed import Pointed
from bot.studio.mapping.cards import adjust_form, list_card
from bot.studio.mapping.making import Mapping, one_map
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.forms import fields_of
from bot.ui.selects import chosen_value
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.protocol.specs import Preprocess

__all__ = ["MAP_FORMS", "MAP_VERBS", "MappingDesk"]

MAP_VERBS = (Verb.MAP, Verb.FIND_MAP, Verb.MAP_MAKE, Verb.MAP_ADJUST, Verb.MAPS)
MAP_FORMS = (Verb.MAP_ADJUST_FORM,)


class MappingDesk:
    def __init__(self, *, finds: Finds, jobs: Jobs, pointed: Pointed, mapping: Mapping) -> None:
        self._finds = finds
        self._jobs = jobs
        self._pointed = pointed
        self._mapping = mapping

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        match address.verb:
            case Verb.MAP:
                await self._list(interaction, FoundPicture(image_id=ImageId(address.id)))
            case Verb.FIND_MAP:
                await self._list(interaction, await self._found(interaction, address, address.n or 0))
            case Verb.MAP_MAKE:
                found = await self._found(interaction, address, 0)
                # As fine as the picture itself, so that nothing of it is lost.
                await self._mapping.begin(interaction, found, MapWish(chosen_value(interaction), pixel_perfect=True))
            case Verb.MAP_ADJUST:
                job = await self._job(address)
                form = adjust_form(job, one_map(job), texts_for(str(interaction.locale)))
                await interaction.response.send_modal(form)
            case _:
                await self._mapping.of_drawing(interaction, await self._job(address))

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; on_interaction tells it."""
        job = await self._job(address)
        wish = _wish(fields_of(interaction), one_map(job), texts_for(str(interaction.locale)))
        await self._mapping.again(interaction, job, wish)

    async def _list(self, interaction: Interaction, found: FoundPicture) -> None:
        await self._pointed.ours(found)  # a list for what is gone would be opened in vain
        find = await self._finds.add(UserId(interaction.user.id), (found,))
        view = list_card(find.id, self._mapping.facts(interaction), texts_for(str(interaction.locale)))
        await interaction.response.send_message(view=view, ephemeral=True)

    async def _found(self, interaction: Interaction, address: Address, number: int) -> FoundPicture:
        find = await self._finds.get(JobId(address.id))
        if find is None or find.user_id != interaction.user.id or number >= len(find.pictures):
            raise UserFacingError("find_unknown")
        return find.pictures[number]

    async def _job(self, address: Address) -> Job:
        job = await self._jobs.get(JobId(address.id))
        if job is None:
            raise UserFacingError("job_unknown")
        return job


def _wish(fields: Fields[str, str], before: Preprocess, texts: Texts) -> MapWish:
    """What was typed; numbers that were not touched go with the preprocessor that they belong to."""
    name = fields.get("preprocessor", "")
    entry = find_preprocessor(name)
    other = entry is None or entry != find_preprocessor(before.preprocessor)
    typed = fields.get("resolution", "").strip()
    try:
        resolution = whole(typed) if typed else None
    except ValueError as error:
        raise UserFacingError("parameter_not_number", value=typed[:40], name=texts("map.resolution")) from error
    sliders = (entry.a, entry.b) if entry is not None else (None, None)
    numbers: list[float | None] = []
    for field, slider in zip(("a", "b"), sliders, strict=True):
        text = "" if other or slider is None else fields.get(field, "").strip()
        try:
            numbers.append(decimal(text) if text else None)
        except ValueError as error:
            label = slider.label if slider is not None else field
            raise UserFacingError("parameter_not_number", value=text[:40], name=label) from error
    if other and entry is not None and entry.resolution is None:
        resolution = None
    sized = bool(before.width and before.height)
    return MapWish(
        preprocessor=name,
        resolution=resolution,
        a=numbers[0],
        b=numbers[1],
        pixel_perfect=sized and resolution is None,
        width=before.width if before.fit else None,
        height=before.height if before.fit else None,
        resize_mode=before.resize_mode,
    )
