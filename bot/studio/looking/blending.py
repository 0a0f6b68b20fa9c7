"""/blend, image prompts of /imagine, and the menu that makes a message's picture one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import discord

from bot.dispatch.sources import IMAGE_SCHEME
from bot.domain.image_prompts import (
    PLAIN_PROMPT,
    STRENGTH,
    STRENGTH_MAX,
    choose_adapter,
    read_shares,
    with_image_prompts,
)
from bot.domain.imagine import ImagineOptions
from bot.domain.job import Action
from bot.domain.models import find_checkpoint
from bot.domain.parameters import Parameters
from bot.domain.values import decimal
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.finds import Find, FoundPicture
from bot.studio.attachments import Attachments
from bot.studio.hidden import acknowledged
from bot.studio.intake import Intake
from bot.studio.looking.pointed import Pointed
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.requests import Requests
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Verb, encode
from bot.ui.forms import form_of, text_field
from gpu_worker.protocol.specs import ImageRef, JobSpec

__all__ = ["BlendWish", "ImagePrompting"]

FORM_CHARS = 4000


@dataclass(frozen=True, slots=True)
class BlendWish:
    prompt: str = ""
    negative: str | None = None
    strength: float = STRENGTH
    shares: str = ""
    """As `read_shares` takes them."""
    adapter: str | None = None
    style: str | None = None
    wishes: Parameters = field(default_factory=Parameters)


class ImagePrompting:
    def __init__(
        self,
        *,
        pointed: Pointed,
        attachments: Attachments,
        requests: Requests,
        intake: Intake,
        models: Models,
    ) -> None:
        self._pointed = pointed
        self._attachments = attachments
        self._requests = requests
        self._intake = intake
        self._models = models

    async def begin(
        self,
        interaction: Interaction,
        pictures: Sequence[FoundPicture],
        wish: BlendWish,
        *,
        private: bool | None = None,
    ) -> None:
        """Raises UserFacingError: those of `choose_adapter`, `read_shares`, `Attachments.taken`, and whatever refuses a
        job."""
        shares = read_shares(wish.shares, len(pictures))
        facts = self._models.facts(where_of(interaction))
        # Whether it can be done at all comes before anything is fetched.
        choose_adapter(wish.adapter, find_checkpoint(wish.wishes.checkpoint, facts).name, facts)
        styles, notes = await self._requests.styles(interaction, wish.style)
        options = ImagineOptions(wish.prompt.strip() or PLAIN_PROMPT, wish.negative, wishes=wish.wishes)
        built = self._requests.build(interaction, options, styles=styles)
        adapter = choose_adapter(wish.adapter, built.spec.checkpoint, facts)
        if private is None:
            sources = [found.image_id for found in pictures if found.image_id is not None] or [None]
            private = any([await self._intake.is_private(interaction, None, source) for source in sources])
        async with self.kept(interaction, pictures, hidden=private) as refs:
            spec = with_image_prompts(built.spec, refs, adapter, wish.strength, shares)
            said = told((*notes, *built.notes), texts_for(str(interaction.locale)))
            await self._intake.begin(interaction, spec, Action.BLEND, notes=said, private=private)

    def joined(
        self, interaction: Interaction, spec: JobSpec, refs: Sequence[ImageRef], strength: float | None
    ) -> JobSpec:
        """A request that is built already, with pictures beside its words. Raises UserFacingError as
        `choose_adapter`."""
        if not refs:
            return spec
        adapter = choose_adapter(None, spec.checkpoint, self._models.facts(where_of(interaction)))
        return with_image_prompts(
            spec, refs, adapter, STRENGTH if strength is None else strength, read_shares("", len(refs))
        )

    @contextlib.asynccontextmanager
    async def kept(
        self, interaction: Interaction, pictures: Sequence[FoundPicture], *, hidden: bool
    ) -> AsyncGenerator[list[ImageRef]]:
        """Kept durably until a job holds them. The command is acknowledged first (`hidden`: what follows is for the
        user alone); whatever the body refuses takes that back. Raises as `Attachments.taken`."""
        if not pictures:
            yield []
            return
        for found in pictures:
            if found.image_id is None:
                self._attachments.check(found)
        async with acknowledged(interaction, hidden=hidden), contextlib.AsyncExitStack() as held:
            yield [await self._ref(found, held) for found in pictures]

    async def _ref(self, found: FoundPicture, held: contextlib.AsyncExitStack) -> ImageRef:
        ours = await self._pointed.ours(found)
        if ours is None:
            return (await held.enter_async_context(self._attachments.taken(found, None))).image
        image = ours[0]
        ref = f"{IMAGE_SCHEME}{image.id}"
        return ImageRef(ref=ref, sha256=image.sha256, mime=image.mime, size_bytes=image.size_bytes)

    # --- the menu -----------------------------------------------------------------------------------------------------

    def form(self, interaction: Interaction, find: Find, number: int) -> discord.ui.Modal:
        """Raises UserFacingError as `choose_adapter`, so that nobody fills it in for nothing."""
        facts = self._models.facts(where_of(interaction))
        choose_adapter(None, find_checkpoint(None, facts).name, facts)
        texts = texts_for(str(interaction.locale))
        form = form_of(texts("blend.form"), encode(Verb.FIND_PROMPT_FORM, find.id, number))
        text_field(form, "prompt", texts("blend.prompt"), texts("blend.prompt_hint"), "", max_length=FORM_CHARS)
        text_field(
            form, "strength", texts("blend.strength"), texts("blend.strength_hint"), f"{STRENGTH:g}", paragraph=False,
            max_length=10,
        )  # fmt: skip
        return form

    async def submitted(self, interaction: Interaction, found: FoundPicture, fields: Mapping[str, Any]) -> None:
        """Raises as `begin`, and UserFacingError (`image_prompt_strength`)."""
        typed = str(fields.get("strength") or "").strip()
        try:
            strength = decimal(typed) if typed else STRENGTH
        except ValueError:
            strength = -1.0
        if not 0 <= strength <= STRENGTH_MAX:
            raise UserFacingError("image_prompt_strength", wish=typed[:20], most=f"{STRENGTH_MAX:g}")
        await self.begin(interaction, [found], BlendWish(str(fields.get("prompt") or ""), strength=strength))
