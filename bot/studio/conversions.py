"""Model files made from model files: what an admin asks for becomes a job, and a merge's picture the job after it."""

from __future__ import annotations

import logging
import random
import re
from typing import TYPE_CHECKING

from bot.delivery.cards import made_card
from bot.delivery.post import Card, Poster
from bot.domain.ids import JobId
from bot.domain.imagine import ImagineOptions, build_imagine
from bot.domain.job import Action
from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.model_rules import Where
from bot.domain.parameters import Parameters
from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.library import Library, LibraryFile
from bot.storage.jobs import Jobs
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.door import sentence
from gpu_worker.protocol.messages import ModelKind
from gpu_worker.protocol.specs import BakeSpec, ConvertSpec, FileSpec, MergeSpec, Txt2Img

if TYPE_CHECKING:
    from bot.studio.model_admin.room import Room  # whose package is built on this module

__all__ = ["Conversions", "sources_of", "tidy_output"]

log = logging.getLogger(__name__)

PREVIEW_SUFFIX = "p"
"""Behind a job's id: the job of its picture, of which there is one however often it is asked for."""
OUTPUT_CHARS = 120
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f]+')


def tidy_output(name: str) -> str:
    """A file's name without folder and suffix, as a spec takes it; empty where nothing is left."""
    name = _UNSAFE.sub(" ", name)
    return " ".join(name.removesuffix(".safetensors").split()).strip(". ")[:OUTPUT_CHARS].strip(". ")


def sources_of(spec: FileSpec) -> list[tuple[ModelKind, str]]:
    """Kind and name of all that a file is made from, first what it will be like."""
    match spec:
        case ConvertSpec():
            found: list[tuple[ModelKind, str]] = [(spec.model_kind, spec.model)]
        case MergeSpec():
            names = (spec.first, spec.second, spec.third)
            found = [("checkpoint", name) for name in names if name is not None]
        case BakeSpec():
            found = [("checkpoint", spec.checkpoint), *(("lora", lora.name) for lora in spec.loras)]
    return found if spec.vae is None else [*found, ("vae", spec.vae)]


class Conversions:
    """A request ends in the intake, which answers with the job's card. Specs name what they are made from by the
    library's names; output, owner and size are filled in here. Raises UserFacingError: `convert_no_model`,
    `convert_unusable`, `convert_name`, `model_disabled` where a server's admin may not use what it
    would be made from, those of `Room.require`, and whatever refuses a job."""

    def __init__(
        self,
        *,
        intake: Intake,
        jobs: Jobs,
        library: Library,
        models: Models,
        room: Room,
        limits: Limits,
        poster: Poster,
    ) -> None:
        self._intake = intake
        self._jobs = jobs
        self._library = library
        self._models = models
        self._room = room
        self._limits = limits
        self._poster = poster
        self._rng = random.SystemRandom()

    async def request(
        self, interaction: Interaction, spec: FileSpec, steward: Steward, *, preview: str | None = None
    ) -> JobId | None:
        """`preview` is a prompt that the new checkpoint draws when it is there; without one that of `spec` stays."""
        sources = [self._file(kind, name) for kind, name in sources_of(spec)]
        if not steward.operator:
            # What nobody here may use would come back as a file that everybody here may.
            disabled = self._models.disabled(where_of(interaction))
            for file in sources:
                if (file.kind, file.name) in disabled:
                    raise UserFacingError("model_disabled", name=spoken(file.name))
        if isinstance(spec, BakeSpec):
            named = [file.name for file in sources if file.kind == "lora"]
            loras = [wish.model_copy(update={"name": name}) for wish, name in zip(spec.loras, named, strict=True)]
            spec = spec.model_copy(update={"loras": tuple(loras)})
        output = tidy_output(spec.output)
        if not output:
            raise UserFacingError("convert_name")
        await self._room.require(steward, self._room.made_bytes(spec))
        changes = {
            "output": output,
            "owner": steward.owner,
            "size_bytes": sum(file.size_bytes for file in sources),
            "preview": self._preview(preview, sources[0]) if preview else spec.preview,
        }
        return await self._intake.begin(interaction, spec.model_copy(update=changes), Action(spec.kind))

    async def follow(self, job_id: JobId) -> None:
        """The picture of a finished job, where one was asked for; the job's card says why there will be none. Called
        again, it asks no second time. Raises what `Poster.post` raises."""
        job = await self._jobs.get(job_id)
        if job is None or job.files is None or job.files.preview is None or job.result is None:
            return
        name = job.result.name
        try:
            await self._intake.begin_by_reaction(
                user_id=job.user_id,
                channel_id=job.channel_id,
                guild_id=job.guild_id,
                where=Where(job.guild_id, job.channel_id, user_id=job.user_id),
                message_id=job.message_id,
                locale=job.locale,
                spec=job.files.preview.model_copy(update={"checkpoint": name}),
                action=Action.IMAGINE,
                source_image_id=None,
                job_id=JobId(f"{job.id}{PREVIEW_SUFFIX}"),
                parent_id=job.id,
                exempt={("checkpoint", name)},
            )
        except UserFacingError as error:
            # The file is there; a full queue, say, keeps only its picture away.
            log.info("job %s: its picture was not asked for (%s)", job.id, error)
            texts = texts_for(job.locale)
            why = texts("made.no_picture", why=sentence(texts, error, f"the picture of job {job.id}"))
            await self._poster.post(job, Card(made_card(job, notes=[why])), nonce=f"{job.id}n")

    def _preview(self, prompt: str, like: LibraryFile) -> Txt2Img:
        """Drawn as the first of the checkpoints draws best."""
        options = ImagineOptions(prompt, wishes=Parameters(checkpoint=like.name, count=1))
        built = build_imagine(options, facts=self._models.facts(), limits=self._limits, rng=self._rng)
        assert isinstance(built.spec, Txt2Img)
        return built.spec

    def _file(self, kind: ModelKind, name: str) -> LibraryFile:
        file = self._library.find(kind, name)
        if file is None:
            raise UserFacingError("convert_no_model", name=spoken(name))
        if file.problem is not None and file.problem not in {"no_vae", "pickled"}:
            raise UserFacingError("convert_unusable", name=spoken(name))
        return file
