"""What asks for control: /control, "use as control" of a picture, and a pasted text that names units."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import discord

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain import actions
from bot.domain.audience import read_audience
from bot.domain.control.keeping import NEEDED, known_pictures, led_by
from bot.domain.control.kinds import MAP, UNITS_MAX, kind_of_preprocessor
from bot.domain.control.models import checkpoint_of
from bot.domain.control.units import UnitWish, make_unit
from bot.domain.described import aspect_of
from bot.domain.ids import ImageId, JobId, UserId
from bot.domain.image_prompts import PLAIN_PROMPT
from bot.domain.imagine import Built, ImagineOptions
from bot.domain.job import Action, Image, Job
from bot.domain.mentions import spoken
from bot.domain.notes import Note, named
from bot.domain.parameters import Parameters
from bot.domain.pasted import is_infotext
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.control_records import ControlRecords
from bot.storage.finds import FoundPicture
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.origins import origin_of
from bot.studio.attachments import Attachments
from bot.studio.control.desk import ControlDesk
from bot.studio.hidden import acknowledged
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.looking.sight import Sight
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.panels import Panels
from bot.studio.requests import Requests
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address
from gpu_worker.protocol.specs import ControlUnit, Drawing, ImageRef, JobSpec, Preprocess

__all__ = ["ControlWish", "Controlling"]

log = logging.getLogger(__name__)

NEEDED_PANEL = "control_pictures_panel"
"""As `NEEDED`, where they wait for them on the desk."""


@dataclass(frozen=True, slots=True)
class ControlWish:
    prompt: str
    unit: UnitWish = field(default_factory=UnitWish)
    negative: str | None = None
    style: str | None = None
    lora: str | None = None
    wishes: Parameters = field(default_factory=Parameters)
    panel: bool = False


class Controlling:
    """Answers `asunit`, too."""

    def __init__(
        self,
        *,
        desk: ControlDesk,
        panels: Panels,
        requests: Requests,
        intake: Intake,
        models: Models,
        attachments: Attachments,
        pointed: Pointed,
        jobs: Jobs,
        images: Images,
        records: ControlRecords,
        sight: Sight,
    ) -> None:
        self._desk = desk
        self._panels = panels
        self._requests = requests
        self._intake = intake
        self._models = models
        self._attachments = attachments
        self._pointed = pointed
        self._jobs = jobs
        self._images = images
        self._records = records
        self._sight = sight
        self._rng = random.SystemRandom()

    # --- the command --------------------------------------------------------------------------------------------------

    async def begin(
        self,
        interaction: Interaction,
        image: discord.Attachment,
        wish: ControlWish,
        source: discord.Attachment | None = None,
        mask: discord.Attachment | None = None,
    ) -> None:
        """`source` is what an img2img starts from, `mask` where that is drawn again. Raises UserFacingError: those of
        `make_unit`, `Attachments.taken`, and whatever refuses a job."""
        prompt, private = read_audience(wish.prompt)
        for one in (image, source, mask):
            if one is not None:
                self._attachments.check(one)
        if source is None and mask is not None:
            raise UserFacingError("mask_without_picture")
        await self._intake.require_room(UserId(interaction.user.id))
        pasted = is_infotext(prompt)
        # A pasted text was written with its styles applied.
        own = wish.style is None and pasted
        styles, told_of_styles = ((), ()) if own else await self._requests.styles(interaction, wish.style)
        if private is None:
            private = await self._intake.is_private(interaction)
        hidden = private or wish.panel
        async with (
            acknowledged(interaction, hidden=hidden),
            self._attachments.taken(image, None) as led,
            self._attachments.given(interaction, source, mask, hidden=hidden) as picture,
        ):
            # In the shape of what it follows, unless somebody says otherwise: nothing of a pose is cut off.
            shape = None if picture is not None or pasted else aspect_of(led.width, led.height)
            options = ImagineOptions(
                prompt, wish.negative, wish.lora, wish.wishes, picture, base=Parameters(aspect=shape)
            )
            built = self._requests.build(interaction, options, styles=styles)
            built = self._led(interaction, built, wish.unit, led.image, waits=wish.panel)
            notes = told((*told_of_styles, *built.notes), texts_for(str(interaction.locale)))
            if wish.panel:
                await self._panels.open(interaction, built.spec, Action.IMAGINE, notes=notes, private=private)
            else:
                await self._intake.begin(interaction, built.spec, Action.IMAGINE, notes=notes, private=private)

    def _led(self, interaction: Interaction, built: Built, wish: UnitWish, image: ImageRef, *, waits: bool) -> Built:
        """By the given picture. Of a text that names units it is the first one's; the others keep the picture that the
        drawing starts from, or wait for one of their own in the panel (`waits`), or are told."""
        facts = self._models.facts(where_of(interaction))
        there = [*built.spec.control, *built.pending]
        unit = make_unit(wish, image, checkpoint_of(built.spec, facts), facts, there[0] if there else None)
        notes = [note for note in built.notes if note.key != NEEDED]
        if len(built.pending) > 1:
            names = {"names": named([spoken(each.model) for each in built.pending[1:]])}
            notes.append(Note(NEEDED_PANEL if waits else NEEDED, names))
        others = [*built.spec.control[1:], *(built.pending[1:] if waits else ())]
        return replace(built, spec=led_by(built.spec, [unit, *others]), notes=tuple(notes), pending=())

    # --- a picture of somebody's --------------------------------------------------------------------------------------

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `picture_unknown`, `source_deleted`, `control_full`, those of `make_unit`."""
        image = await self._images.get(ImageId(address.id))
        job = await self._jobs.get(image.job_id) if image is not None else None
        if image is None or job is None:
            raise UserFacingError("picture_unknown")
        if image.deleted:
            raise UserFacingError("source_deleted")
        await self._open_ours(interaction, image, job)

    async def use(self, interaction: Interaction, found: FoundPicture, infotext: str | None) -> None:
        """Opens the panel with it as a unit; `infotext` is what the picture says of itself. Raises as `pressed`, and
        as `Attachments.taken`."""
        ours = await self._pointed.ours(found)
        if ours is not None:
            await self._open_ours(interaction, *ours)
            return
        self._attachments.check(found)
        async with acknowledged(interaction, hidden=True), self._attachments.taken(found, None) as given:
            built = self._plain(interaction, infotext, given.width, given.height)
            built = self._led(interaction, built, UnitWish(), given.image, waits=True)
            await self._open(interaction, built.spec, built.notes)

    async def _open_ours(self, interaction: Interaction, image: Image, job: Job) -> None:
        ref = ImageRef(
            ref=f"{IMAGE_SCHEME}{image.id}", sha256=image.sha256, mime=image.mime, size_bytes=image.size_bytes
        )
        wish = UnitWish()
        if isinstance(job.task, Preprocess):
            # It is a map already.
            made = job.task.maps[min(image.index, len(job.task.maps) - 1)]
            kind = kind_of_preprocessor(made.preprocessor)
            wish = UnitWish(kind=kind.name if kind else None, preprocessor=MAP)
        base = await self._recipe(job, image)
        notes: Sequence[Note] = ()
        if base is None:
            built = self._plain(interaction, None, image.width, image.height)
            spec, notes = built.spec, built.notes
        else:
            spec = actions.reroll(base, self._rng)
        if len(spec.control) >= UNITS_MAX:
            raise UserFacingError("control_full", most=UNITS_MAX)
        facts = self._models.facts(where_of(interaction))
        unit = make_unit(wish, ref, checkpoint_of(spec, facts), facts)
        spec = led_by(spec, [*spec.control, unit])
        await self._open(interaction, spec, notes, base=base, parent_id=job.id, source=image.id, private=job.private)

    async def _recipe(self, job: Job, image: Image) -> JobSpec | None:
        """The request that drew it; of a map, of the picture that it is one of. None where nobody drew either."""
        if isinstance(job.task, Preprocess) and job.source_image_id is not None:
            source = await self._images.get(job.source_image_id)
            maker = await self._jobs.get(source.job_id) if source is not None else None
            if source is None or maker is None:
                return None
            job, image = maker, source
        origin, index = await origin_of(self._jobs, self._images, job, image.index)
        if not isinstance(origin.task, Drawing):
            return None
        return actions.first_pass(actions.picture_spec(origin.spec, index))

    def _plain(self, interaction: Interaction, infotext: str | None, width: int, height: int) -> Built:
        """What the picture says of itself; a request that says little where that is nothing, or nothing that can be
        drawn here."""
        unusable: tuple[Note, ...] = ()
        if infotext:
            try:
                return self._requests.build(interaction, ImagineOptions(infotext))
            except UserFacingError as error:
                log.debug("a picture's own text cannot be drawn here: %s", error)
                unusable = (Note("control_text_unusable"),)
        base = Parameters(aspect=aspect_of(width, height))
        built = self._requests.build(interaction, ImagineOptions(PLAIN_PROMPT, base=base))
        return replace(built, notes=(*unusable, *built.notes))

    async def _open(
        self,
        interaction: Interaction,
        spec: JobSpec,
        notes: Sequence[Note],
        *,
        base: JobSpec | None = None,
        parent_id: JobId | None = None,
        source: ImageId | None = None,
        private: bool = False,
    ) -> None:
        action = Action.EDIT if parent_id is not None else Action.IMAGINE
        async with acknowledged(interaction, hidden=True):
            draft = await self._panels.add(
                interaction, spec, action, source_image_id=source, base=base, parent_id=parent_id, private=private
            )
            said = told(notes, texts_for(str(interaction.locale)))
            await self._desk.show(interaction, draft, len(spec.control) - 1, said)

    # --- a pasted text ------------------------------------------------------------------------------------------------

    async def restored(self, interaction: Interaction, built: Built, *, panel: bool) -> Built:
        """A text holds no pictures: those of a request of this person that the text is about are taken from its record.
        Else the units wait in the `panel`, or are told."""
        if not built.pending:
            return built
        notes = tuple(note for note in built.notes if note.key != NEEDED)
        user_id = UserId(interaction.user.id)
        for job_id, record in await self._records.led(user_id, built.spec.seed):
            led = known_pictures(built.pending, record)
            if led is not None and await self._theirs(user_id, led, job_id):
                return Built(led_by(built.spec, led), notes)
        if panel:
            names = {"names": named([spoken(unit.model) for unit in built.pending])}
            return Built(led_by(built.spec, built.pending), (*notes, Note(NEEDED_PANEL, names)))
        return built

    async def _theirs(self, user_id: UserId, units: Sequence[ControlUnit], job_id: JobId) -> bool:
        """Not what somebody else gave: the new request would not tell that any more."""
        job = await self._jobs.get(job_id)
        refs = [ref for unit in units for ref in (unit.image, unit.mask) if ref is not None]
        given = [ref for ref in refs if not ref.ref.startswith(IMAGE_SCHEME)]
        return job is not None and all([await self._sight.gave(user_id, ref, job) for ref in given])
