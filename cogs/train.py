"""/train: LoRAs are trained on one's data sets. What comes of a training has its commands here as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from discord import app_commands
from discord.ext import commands

from bot.domain.ids import UserId
from bot.domain.training.planning import trainable_names
from bot.studio import Studio
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.commands import choices, keyed, localised_options
from gpu_worker.language.training.presets import PRESETS, Preset

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range


class Train(
    commands.GroupCog, group_name=keyed("command.train.name"), group_description=keyed("command.train.description")
):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        super().__init__()

    @app_commands.command(name=keyed("command.train.start.name"), description=keyed("command.train.start.description"))
    @localised_options("train.start", "dataset", "base", "preset", "name", "trigger")
    @app_commands.choices(
        preset=[app_commands.Choice(name=keyed(f"choice.train.{name}"), value=name) for name in PRESETS]
    )
    async def start(
        self,
        interaction: Interaction,
        dataset: Range[str, 1, 100] | None = None,
        base: Range[str, 1, 300] | None = None,
        preset: str = "character",
        name: Range[str, 1, 60] | None = None,
        trigger: Range[str, 1, 100] | None = None,
    ) -> None:
        await self._studio.trainings.desk.open(
            interaction,
            dataset=dataset,
            base=self._studio.model_names.named("checkpoint", base),
            preset_name=cast("Preset", preset),
            name=name,
            trigger=trigger,
        )

    @app_commands.command(name=keyed("command.train.list.name"), description=keyed("command.train.list.description"))
    async def list(self, interaction: Interaction) -> None:
        await self._studio.trainings.board.listed(interaction)

    @app_commands.command(name=keyed("command.train.show.name"), description=keyed("command.train.show.description"))
    @localised_options("train.show", "training")
    async def show(self, interaction: Interaction, training: Range[str, 1, 100] | None = None) -> None:
        await self._studio.trainings.board.show(interaction, training)

    @app_commands.command(name=keyed("command.train.pause.name"), description=keyed("command.train.pause.description"))
    @localised_options("train.pause", "training")
    async def pause(self, interaction: Interaction, training: Range[str, 1, 100] | None = None) -> None:
        await self._studio.trainings.board.pause(interaction, training)

    @app_commands.command(
        name=keyed("command.train.resume.name"), description=keyed("command.train.resume.description")
    )
    @localised_options("train.resume", "training")
    async def resume(self, interaction: Interaction, training: Range[str, 1, 100] | None = None) -> None:
        await self._studio.trainings.board.resume(interaction, training)

    @app_commands.command(
        name=keyed("command.train.cancel.name"), description=keyed("command.train.cancel.description")
    )
    @localised_options("train.cancel", "training")
    async def cancel(self, interaction: Interaction, training: Range[str, 1, 100] | None = None) -> None:
        await self._studio.trainings.board.cancel(interaction, training)

    # --- what comes of it ---------------------------------------------------------------------------------------------

    @app_commands.command(
        name=keyed("command.train.publish.name"), description=keyed("command.train.publish.description")
    )
    @localised_options("train.publish", "training", "epoch", "name", "trigger", "weight")
    async def publish(
        self,
        interaction: Interaction,
        training: Range[str, 1, 100],
        epoch: Range[str, 1, 100] | None = None,
        name: Range[str, 1, 60] | None = None,
        trigger: Range[str, 0, 200] | None = None,
        weight: Range[float, -4, 4] | None = None,
    ) -> None:
        files = self._studio.trained.files
        await files.publish(interaction, training, epoch, name=name, trigger=trigger, weight=weight)

    @app_commands.command(
        name=keyed("command.train.compare.name"), description=keyed("command.train.compare.description")
    )
    @localised_options("train.compare", "training")
    async def compare(self, interaction: Interaction, training: Range[str, 1, 100]) -> None:
        await self._studio.trained.files.compare(interaction, training)

    @app_commands.command(name=keyed("command.train.file.name"), description=keyed("command.train.file.description"))
    @localised_options("train.file", "training", "epoch")
    async def file(
        self, interaction: Interaction, training: Range[str, 1, 100], epoch: Range[str, 1, 100] | None = None
    ) -> None:
        await self._studio.trained.files.file(interaction, training, epoch)

    @app_commands.command(
        name=keyed("command.train.delete.name"), description=keyed("command.train.delete.description")
    )
    @localised_options("train.delete", "training")
    async def delete(self, interaction: Interaction, training: Range[str, 1, 100]) -> None:
        await self._studio.trained.files.delete(interaction, training)

    @publish.autocomplete("training")
    async def _publishable(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        """One's own, and for whoever administers those of the server, by their ids."""
        return await self._studio.trained.files.choices(interaction, current)

    @publish.autocomplete("epoch")
    @file.autocomplete("epoch")
    async def _epochs(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        chosen = str(getattr(interaction.namespace, "training", "") or "")
        return choices(current, await self._studio.trained.files.epochs(interaction, chosen))

    @start.autocomplete("dataset")
    async def _datasets(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, await self._studio.trainings.dataset_names(UserId(interaction.user.id)))

    @start.autocomplete("base")
    async def _bases(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, trainable_names(self._studio.models.facts(where_of(interaction))))

    @show.autocomplete("training")
    @pause.autocomplete("training")
    @resume.autocomplete("training")
    @cancel.autocomplete("training")
    @compare.autocomplete("training")
    @file.autocomplete("training")
    @delete.autocomplete("training")
    async def _trainings(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return choices(current, await self._studio.trainings.names(UserId(interaction.user.id)))


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(Train(bot.studio))
