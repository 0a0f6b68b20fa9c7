"""/detail-fix, and "Fix faces / hands" of a finished picture: what a detector finds in it is drawn once more."""

from __future__ import annotations

from dataclasses import dataclass

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain import actions
from bot.domain.described import aspect_of
from bot.domain.detail_fixes import fixed, read_fixes
from bot.domain.detail_forms import read_number, size_of
from bot.domain.ids import ImageId
from bot.domain.image_prompts import PLAIN_PROMPT
from bot.domain.imagine import ImagineOptions
from bot.domain.job import Action, Image, Job
from bot.domain.limits import Limits
from bot.domain.parameters import Parameters
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.finds import FoundPicture
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.origins import origin_of
from bot.studio.attachments import Attachments
from bot.studio.hidden import acknowledged
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.models import Models
from bot.studio.reading import PictureReader
from bot.studio.requests import Requests
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.forms import fields_of, form_of, select_field, text_field
from gpu_worker.language.detectors import usable_detectors
from gpu_worker.language.infotext import parse_infotext
from gpu_worker.protocol.specs import DetailFix, Drawing, ImageRef, JobSpec

__all__ = ["FixWish", "Fixing"]

CHOICES = 20
"""Detectors in the form's list, beside "faces and hands"."""
FORM_CHARS = 1000
BOTH = "face, hand"


@dataclass(frozen=True, slots=True)
class FixWish:
    """What a command or the form says; None leaves it as usual. Names and ranges are those of `DetailFix`."""

    what: str = "face"
    prompt: str | None = None
    negative: str | None = None
    denoise: float | None = None
    confidence: float | None = None
    size: str | None = None
    steps: int | None = None
    most: int | None = None
    padding: int | None = None
    seed: int | None = None


class Fixing:
    """Answers `fix` and its form."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        images: Images,
        pointed: Pointed,
        attachments: Attachments,
        reader: PictureReader,
        requests: Requests,
        intake: Intake,
        models: Models,
        limits: Limits,
    ) -> None:
        self._jobs = jobs
        self._images = images
        self._pointed = pointed
        self._attachments = attachments
        self._reader = reader
        self._requests = requests
        self._intake = intake
        self._models = models
        self._limits = limits

    async def begin(self, interaction: Interaction, found: FoundPicture, wish: FixWish) -> None:
        """Raises UserFacingError: those of `read_fixes`, `Attachments.taken`, and whatever refuses a job."""
        units = self._units(interaction, wish)
        ours = await self._pointed.ours(found)
        if ours is not None:
            await self._ours(interaction, *ours, units, wish)
            return
        self._attachments.check(found)
        hidden = await self._intake.is_private(interaction)
        async with acknowledged(interaction, hidden=hidden), self._attachments.taken(found, None) as given:
            text = await self._reader.infotext(await self._attachments.fetch(found))
            base = self._foreign(interaction, text, given.width, given.height)
            spec = _seeded(fixed(base, given.image, (given.width, given.height), units), wish)
            await self._intake.begin(interaction, spec, Action.DETAILS)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """The form. Raises UserFacingError: `picture_unknown`, `detector_none`."""
        await self._pointed.ours(FoundPicture(image_id=ImageId(address.id)))
        there = usable_detectors(self._models.facts(where_of(interaction)))
        if not there:
            raise UserFacingError("detector_none", install="detectors")
        texts = texts_for(str(interaction.locale))
        form = form_of(texts("details.fix.title"), encode(Verb.FIX_FORM, address.id))
        faces, hands = (next((name for name in there if word in name), None) for word in ("face", "hand"))
        rows = [(name, name) for name in there[:CHOICES] if len(name) <= 100]
        if faces is not None and hands is not None:
            rows.insert(0, (BOTH, texts("details.fix.both")))
        select_field(form, "what", texts("details.fix.what"), texts("details.fix.what_hint"), rows, rows[0][0])
        hint = texts("details.field.denoising_strength_hint", least="0", most="1")
        text_field(
            form, "denoise", texts("details.field.denoising_strength"), hint, "0.4", paragraph=False, max_length=10
        )
        words = texts("details.field.prompt"), texts("details.field.prompt_hint")
        text_field(form, "prompt", *words, "", max_length=FORM_CHARS)
        await interaction.response.send_modal(form)

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises as `begin`, and UserFacingError (`detail_number`)."""
        fields = fields_of(interaction)
        texts = texts_for(str(interaction.locale))
        label = texts("details.field.denoising_strength")
        wish = FixWish(
            what=fields.get("what") or "face",
            prompt=(fields.get("prompt") or "").strip() or None,
            denoise=read_number("denoising_strength", label, fields.get("denoise", "")),
        )
        await self.begin(interaction, FoundPicture(image_id=ImageId(address.id)), wish)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _units(self, interaction: Interaction, wish: FixWish) -> list[DetailFix]:
        units = read_fixes(wish.what, self._models.facts(where_of(interaction)))
        if not units:
            raise UserFacingError("details_nothing")
        width, height = size_of(wish.size or "", self._limits)
        given = {
            "prompt": wish.prompt, "negative_prompt": wish.negative, "denoising_strength": wish.denoise,
            "confidence": wish.confidence, "steps": wish.steps, "most": wish.most, "padding_px": wish.padding,
            "width": width or None, "height": height or None,
        }  # fmt: skip
        update = {name: value for name, value in given.items() if value is not None}
        return [unit.model_copy(update=update) for unit in units]

    async def _ours(
        self, interaction: Interaction, image: Image, job: Job, units: list[DetailFix], wish: FixWish
    ) -> None:
        origin, index = await origin_of(self._jobs, self._images, job, image.index)
        if isinstance(origin.task, Drawing):
            base = actions.first_pass(actions.picture_spec(origin.spec, index))
        else:
            base = self._foreign(interaction, image.infotext, image.width, image.height)
        ref = ImageRef(
            ref=f"{IMAGE_SCHEME}{image.id}", sha256=image.sha256, mime=image.mime, size_bytes=image.size_bytes
        )
        spec = _seeded(fixed(base, ref, (image.width, image.height), units), wish)
        await self._intake.begin(interaction, spec, Action.DETAILS, source_image_id=image.id, parent_id=job.id)

    def _foreign(self, interaction: Interaction, text: str | None, width: int, height: int) -> JobSpec:
        """A request for a picture that nobody drew here: in its own words and with its own parameters, as far as they
        are here; without any, in plain ones."""
        if text and parse_infotext(text).prompt:
            try:
                return self._requests.build(interaction, ImagineOptions(text)).spec
            except UserFacingError:
                pass
        options = ImagineOptions(PLAIN_PROMPT, base=Parameters(aspect=aspect_of(width, height), count=1))
        return self._requests.build(interaction, options).spec


def _seeded(spec: JobSpec, wish: FixWish) -> JobSpec:
    single: dict[str, object] = {"count": 1, "texts": (), "template": None}
    if wish.seed is not None and wish.seed >= 0:
        single |= {"seed": wish.seed, "variations": ()}
    return spec.model_copy(update=single)
