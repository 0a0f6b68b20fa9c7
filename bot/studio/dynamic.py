"""Dynamic prompts at the door of new jobs: texts are drawn before anything is checked, stored or promised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from rapidfuzz import process

from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.model_rules import Where
from bot.domain.models import check_loras
from bot.domain.notes import Note, named
from bot.domain.template_syntax import is_template, wildcards_in
from bot.domain.templates import picture_seeds, second_to_be_drawn, with_texts
from bot.domain.text import is_blank
from bot.dynamic.expander import Expander
from bot.dynamic.wildcards import WildcardBook
from bot.errors import UserFacingError
from bot.studio.hidden import acknowledged
from bot.studio.models import Models
from bot.ui.client import Interaction
from gpu_worker.language.networks import NetworkTagError, lora_refs, parse_networks
from gpu_worker.protocol.specs import JobSpec, Texts, Txt2Img

__all__ = ["Dynamic", "in_time"]

T = TypeVar("T")

COMBINATIONS_MAX = 100
"""A member may have more waiting, but a channel should not be filled by one press."""
SOON_S = 1.2
"""Of the three seconds in which Discord wants an answer."""


class Dynamic:
    def __init__(self, expander: Expander, book: WildcardBook, models: Models, limits: Limits) -> None:
        self._expander = expander
        self._book = book
        self._models = models
        self._limits = limits

    @property
    def most(self) -> int:
        """Combinations that are drawn at one wish: what may wait of one person's."""
        return min(self._limits.max_queued_per_user * self._limits.max_count, COMBINATIONS_MAX)

    async def drawn(self, spec: JobSpec, where: Where) -> tuple[JobSpec, tuple[Note, ...]]:
        """The request with a text for each picture, drawn from its seed, so the same request draws the same texts.

        Raises UserFacingError: those of `Expander.texts`, `prompt_empty`, those of `check_loras`, `lora_weight`.
        """
        spec = await self.second_pass(spec, where)
        if not (is_template(spec.prompt) or is_template(spec.negative_prompt)):
            return spec, ()
        texts = await self._expander.texts(
            spec.prompt, spec.negative_prompt, picture_seeds(spec), guild_id=where.guild_id
        )
        self._check(texts, spec, where)
        return with_texts(spec, texts), await self._notes(texts, where)

    async def second_pass(self, spec: JobSpec, where: Where) -> JobSpec:
        """The request with a second pass's own prompts drawn, once for all pictures. Raises as `drawn`."""
        if not isinstance(spec, Txt2Img) or spec.hires is None or not second_to_be_drawn(spec):
            return spec
        hires = spec.hires
        sides = (hires.prompt or "", hires.negative_prompt or "")
        (text,) = await self._expander.texts(*sides, [spec.seed], guild_id=where.guild_id)
        if hires.prompt:
            self._check([text], spec, where)
        update = {"prompt": text.prompt or None, "negative_prompt": text.negative_prompt or None}
        return spec.model_copy(update={"hires": hires.model_copy(update=update)})

    async def combinations(self, spec: JobSpec, where: Where) -> list[Texts]:
        """Every text, in order. Raises as `drawn`, and `combinations_many`, `wildcard_unknown`."""
        template = spec.template
        assert template is not None, "combinations were asked for"
        sides = (template.prompt, template.negative_prompt)
        missing = await asyncio.to_thread(self._missing, wildcards_in("\n".join(sides)), where.guild_id)
        if missing:  # what the library draws then has no end
            raise UserFacingError("wildcard_unknown", names=named([*map(spoken, missing)]))
        texts = await self._expander.combinations(*sides, most=self.most, guild_id=where.guild_id)
        if len(texts) > self.most:
            raise UserFacingError("combinations_many", limit=self.most)
        if not texts:
            raise UserFacingError("prompt_empty")
        self._check(texts, spec, where)
        return texts

    def _check(self, texts: Sequence[Texts], spec: JobSpec, where: Where) -> None:
        facts = self._models.facts(where)
        checkpoint = next((f for f in facts if (f.kind, f.name) == ("checkpoint", spec.checkpoint)), None)
        names: dict[str, None] = {}
        for text in texts:
            if is_blank(text.prompt):
                raise UserFacingError("prompt_empty")
            try:
                names |= dict.fromkeys(ref.name for ref in lora_refs(parse_networks(text.prompt)[1]))
            except NetworkTagError as error:
                raise UserFacingError("lora_weight", name=spoken(error.name)) from error
        if checkpoint is not None:
            check_loras(names, checkpoint, facts)

    async def _notes(self, texts: Sequence[Texts], where: Where) -> tuple[Note, ...]:
        left = wildcards_in("\n".join(f"{text.prompt}\n{text.negative_prompt}" for text in texts))
        if not left:
            return ()
        known = await asyncio.to_thread(self._book.names, where.guild_id)
        close = [str(found[0]) for name in left if (found := process.extractOne(name, known, score_cutoff=60))]
        if close:
            return (
                Note("wildcard_close", {"names": named([*map(spoken, left)]), "close": named([*map(spoken, close)])}),
            )
        return (Note("wildcard_unknown", {"names": named([*map(spoken, left)])}),)

    def _missing(self, names: Sequence[str], guild_id: int | None) -> list[str]:
        drawn = ("{", "$")
        return [
            name
            for name in names
            if not any(sign in name for sign in drawn) and not self._book.needed(f"__{name}__", guild_id=guild_id)
        ]


async def in_time(interaction: Interaction, work: Awaitable[T], *, hidden: bool = False) -> T:
    """What `work` gives; where that is not there soon, the interaction is acknowledged first (`hidden`: what follows is
    for its person alone). Whatever it raises then takes the waiting answer back."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=SOON_S)
        if done or interaction.response.is_done():
            return await task
        async with acknowledged(interaction, hidden=hidden):
            return await task
    finally:
        task.cancel()
