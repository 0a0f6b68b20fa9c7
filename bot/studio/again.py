"""/random and /repeat: a request that nobody typed, and the last one once more."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace

from bot.domain import actions
from bot.domain.ids import UserId
from bot.domain.imagine import ImagineOptions
from bot.domain.job import Action
from bot.domain.limits import Limits
from bot.domain.lora_list import read_loras
from bot.domain.lora_tags import with_weights
from bot.domain.mentions import spoken
from bot.domain.models import closest, find_lora, names_of
from bot.domain.parameters import Parameters
from bot.domain.random_prompts import THEMES, random_prompt
from bot.dynamic.wildcards import WildcardBook
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.jobs import Jobs
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.notes import told
from bot.studio.pressed import Pressed
from bot.studio.requests import Requests
from bot.studio.sources import picture_of
from bot.studio.where import where_of
from bot.ui.client import Interaction

__all__ = ["Again", "Repeat"]

_ANY = ""


@dataclass(frozen=True, slots=True)
class Repeat:
    """What is different this time. `add` and the tags of `lora` (as `read_loras` takes it) go behind the prompt;
    without `keep_seed` a seed is drawn."""

    prompt: str | None = None
    add: str | None = None
    negative: str | None = None
    wishes: Parameters = field(default_factory=Parameters)
    keep_seed: bool = False
    lora: str | None = None


class Again:
    def __init__(
        self,
        *,
        jobs: Jobs,
        pressed: Pressed,
        intake: Intake,
        models: Models,
        requests: Requests,
        wildcards: WildcardBook,
        limits: Limits,
    ) -> None:
        self._jobs = jobs
        self._pressed = pressed
        self._intake = intake
        self._models = models
        self._requests = requests
        self._wildcards = wildcards
        self._limits = limits
        self._rng = random.SystemRandom()

    # --- /random ------------------------------------------------------------------------------------------------------

    async def random(
        self, interaction: Interaction, theme: str | None, wishes: Parameters, lora: str | None, style: str | None
    ) -> None:
        """`theme` is one of ours, in any language, or a wildcard. Raises UserFacingError: `theme_unknown`, those of a
        new request."""
        texts = texts_for(str(interaction.locale))
        prompt = await self._random_prompt(interaction, theme, texts)
        styles, notes = await self._requests.styles(interaction, style)
        options = ImagineOptions(prompt, lora=lora, wishes=wishes)
        built = self._requests.build(interaction, options, styles=styles)
        await self._intake.begin(interaction, built.spec, Action.IMAGINE, notes=told((*notes, *built.notes), texts))

    async def themes(self, interaction: Interaction) -> list[tuple[str, str]]:
        """Value and name of everything a picture may be of: ours first, then wildcards."""
        texts = texts_for(str(interaction.locale))
        ours = [(theme, texts(f"theme.{theme}")) for theme in THEMES]
        names = await asyncio.to_thread(self._wildcards.names, interaction.guild_id)
        return [*ours, *((f"__{name}__", f"__{name}__") for name in names)]

    async def _random_prompt(self, interaction: Interaction, theme: str | None, texts: Texts) -> str:
        wanted = (theme or _ANY).strip()
        if not wanted:
            return random_prompt(None, self._rng)
        named = {texts(f"theme.{key}").casefold(): key for key in THEMES} | {key: key for key in THEMES}
        if (key := named.get(wanted.casefold())) is not None:
            return random_prompt(key, self._rng)
        name = wanted.strip("_")
        names = await asyncio.to_thread(self._wildcards.names, interaction.guild_id)
        if name not in names:
            near = closest(wanted, [*(texts(f"theme.{key}") for key in THEMES), *names])
            raise UserFacingError("theme_unknown", name=spoken(wanted), closest=", ".join(map(spoken, near)))
        return random_prompt(None, self._rng, about=f"__{name}__")

    # --- /repeat ------------------------------------------------------------------------------------------------------

    async def repeat(self, interaction: Interaction, change: Repeat) -> None:
        """Raises UserFacingError: `nothing_to_repeat`, those of an edit."""
        last = await self._jobs.last_drawing_of(UserId(interaction.user.id))
        if last is None:
            raise UserFacingError("nothing_to_repeat")
        job = await self._pressed.origin(last)
        spec = job.spec
        if change == Repeat():
            await self._intake.begin(
                interaction,
                actions.reroll(spec, self._rng),
                Action.REROLL,
                source_image_id=job.source_image_id,
                parent_id=job.id,
            )
            return
        prompt = change.prompt if change.prompt is not None else spec.prompt
        if change.add:
            prompt = f"{prompt.rstrip().rstrip(',')}, {change.add.strip()}"
        facts = self._models.facts(where_of(interaction))
        for lora in read_loras(change.lora or "", names_of("lora", facts)):
            name = find_lora(lora.name, facts).name
            prompt = f"{with_weights(prompt, {name: ''})} <lora:{name}:{lora.weights}>"
        wishes = change.wishes
        if wishes.seed is None and not change.keep_seed:
            wishes = replace(wishes, seed=-1)
        shaped = wishes.aspect is not None or wishes.width is not None or wishes.height is not None
        built = actions.edit(
            spec,
            prompt=prompt,
            negative_prompt=spec.negative_prompt if change.negative is None else change.negative,
            changes=wishes,
            # Another shape is drawn at the model's own area, not at one side of the old one.
            dropped=("width", "height") if shaped else (),
            picture=picture_of(spec),
            facts=facts,
            limits=self._limits,
            rng=self._rng,
        )
        notes = told(built.notes, texts_for(str(interaction.locale)))
        await self._intake.begin(
            interaction, built.spec, Action.EDIT, source_image_id=job.source_image_id, parent_id=job.id, notes=notes
        )
