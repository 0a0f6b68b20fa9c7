"""/model-admin: what a server's admins, and the operator, do with models.

Discord shows it to members with Manage Server unless the server says otherwise; in direct messages operators alone get
an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast, get_args

import discord
from discord import app_commands
from discord.ext import commands

from bot.domain.model_rules import ModelDefaults
from bot.domain.models import AUTOMATIC_VAE, NONE
from bot.studio import Studio
from bot.ui.client import Interaction
from bot.ui.commands import keyed, localised_options
from gpu_worker.protocol.messages import ModelKind

if TYPE_CHECKING:
    from bot.app import PincelBot

Range = app_commands.Range
Channel = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel | discord.Thread
TEXT_CHARS = 1000
KINDS: tuple[ModelKind, ...] = get_args(ModelKind)
KIND_CHOICES = [app_commands.Choice(name=keyed(f"choice.kind.{kind}"), value=kind) for kind in KINDS]
PRECISION_CHOICES = [
    app_commands.Choice(name=keyed(f"choice.precision.{value}"), value=value)
    for value in ("fp16", "bf16", "fp32", "keep")
]
WEIGHTS_CHOICES = [
    app_commands.Choice(name=keyed(f"choice.weights.{value}"), value=value) for value in ("no-ema", "ema-only", "all")
]
_OWN = frozenset({"remove", "rename", "note", "preview"})
"""Sub-commands that change a file: they offer what their user may change."""


class _Named(TypedDict):
    name: app_commands.locale_str
    description: app_commands.locale_str


def _named(command: str) -> _Named:
    base = f"command.model_admin.{command}"
    return {"name": keyed(f"{base}.name"), "description": keyed(f"{base}.description")}


@app_commands.default_permissions(manage_guild=True)
@app_commands.allowed_installs(guilds=True, users=False)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
class ModelAdminCommands(
    commands.GroupCog,
    group_name=keyed("command.model_admin.name"),
    group_description=keyed("command.model_admin.description"),
):
    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._admin = studio.admin
        self._desk = studio.admin.desk

    # --- adding -------------------------------------------------------------------------------------------------------

    @app_commands.command(**_named("add"))
    @localised_options("model_admin.add", "links", "file", "kind", "name", "sha256", "hold")
    @app_commands.choices(kind=KIND_CHOICES)
    async def add(
        self,
        interaction: Interaction,
        links: Range[str, 1, 4000] | None = None,
        file: discord.Attachment | None = None,
        kind: str | None = None,
        name: Range[str, 1, 120] | None = None,
        sha256: Range[str, 1, 100] | None = None,
        hold: bool = False,
    ) -> None:
        await self._admin.adding.add(
            interaction,
            links=links,
            file=file,
            kind=cast("ModelKind | None", kind),  # one of the choices
            name=name,
            sha256=sha256,
            hold=hold,
        )

    @app_commands.command(**_named("install"))
    @localised_options("model_admin.install", "name", "hold")
    async def install(self, interaction: Interaction, name: Range[str, 1, 300], hold: bool = False) -> None:
        await self._admin.adding.install(interaction, name, hold=hold)

    @app_commands.command(**_named("downloads"))
    async def downloads(self, interaction: Interaction) -> None:
        await self._admin.adding.downloads(interaction)

    # --- files --------------------------------------------------------------------------------------------------------

    @app_commands.command(**_named("remove"))
    @localised_options("model_admin.remove", "model")
    async def remove(self, interaction: Interaction, model: str) -> None:
        await self._desk.remove(interaction, model)

    @app_commands.command(**_named("rename"))
    @localised_options("model_admin.rename", "model", "name")
    async def rename(self, interaction: Interaction, model: str, name: Range[str, 1, 120]) -> None:
        await self._desk.rename(interaction, model, name)

    @app_commands.command(**_named("note"))
    @localised_options("model_admin.note", "model", "text")
    async def note(self, interaction: Interaction, model: str, text: Range[str, 0, TEXT_CHARS] = "") -> None:
        await self._desk.note(interaction, model, text)

    @app_commands.command(**_named("preview"))
    @localised_options("model_admin.preview", "model", "image")
    async def preview(self, interaction: Interaction, model: str, image: discord.Attachment | None = None) -> None:
        await self._desk.preview(interaction, model, image)

    @app_commands.command(**_named("info"))
    @localised_options("model_admin.info", "model")
    async def info(self, interaction: Interaction, model: str) -> None:
        await self._desk.info(interaction, model)

    @app_commands.command(**_named("refresh"))
    async def refresh(self, interaction: Interaction) -> None:
        await self._admin.refreshing.refresh(interaction)

    # --- rules --------------------------------------------------------------------------------------------------------

    @app_commands.command(**_named("enable"))
    @localised_options("model_admin.enable", "model", "channel", "role", "everywhere")
    async def enable(
        self,
        interaction: Interaction,
        model: str,
        channel: Channel | None = None,
        role: discord.Role | None = None,
        everywhere: bool = False,
    ) -> None:
        await self._allow(interaction, model, channel, role, everywhere=everywhere, enabled=True)

    @app_commands.command(**_named("disable"))
    @localised_options("model_admin.disable", "model", "channel", "role", "everywhere")
    async def disable(
        self,
        interaction: Interaction,
        model: str,
        channel: Channel | None = None,
        role: discord.Role | None = None,
        everywhere: bool = False,
    ) -> None:
        await self._allow(interaction, model, channel, role, everywhere=everywhere, enabled=False)

    async def _allow(
        self,
        interaction: Interaction,
        model: str,
        channel: Channel | None,
        role: discord.Role | None,
        *,
        everywhere: bool,
        enabled: bool,
    ) -> None:
        await self._desk.allow(
            interaction,
            model,
            enabled=enabled,
            channel_id=channel.id if channel is not None else None,
            role_id=role.id if role is not None else None,
            everywhere=everywhere,
        )

    @app_commands.command(**_named("rules"))
    @localised_options("model_admin.rules", "model", "clear")
    async def rules(self, interaction: Interaction, model: str | None = None, clear: bool = False) -> None:
        await self._desk.rules(interaction, model, clear=clear)

    @app_commands.command(**_named("defaults"))
    @localised_options("model_admin.defaults", "checkpoint", "vae", "clip_skip", "channel", "clear")
    async def defaults(
        self,
        interaction: Interaction,
        checkpoint: str | None = None,
        vae: str | None = None,
        clip_skip: Range[int, 1, 12] | None = None,
        channel: Channel | None = None,
        clear: bool = False,
    ) -> None:
        names = self._studio.model_names
        wanted = ModelDefaults(names.named("checkpoint", checkpoint), names.named("vae", vae), clip_skip)
        channel_id = channel.id if channel is not None else None
        await self._desk.defaults(interaction, wanted, channel_id=channel_id, clear=clear)

    @app_commands.command(**_named("favourite"))
    @localised_options("model_admin.favourite", "model", "on")
    async def favourite(self, interaction: Interaction, model: str, on: bool = True) -> None:
        await self._desk.favourite(interaction, model, on=on)

    @app_commands.command(**_named("test"))
    @localised_options("model_admin.test", "model")
    async def test(self, interaction: Interaction, model: str) -> None:
        await self._desk.test(interaction, model)

    # --- new files made from files ------------------------------------------------------------------------------------

    @app_commands.command(**_named("convert"))
    @localised_options("model_admin.convert", "model", "name", "precision", "weights", "vae")
    @app_commands.choices(precision=PRECISION_CHOICES, weights=WEIGHTS_CHOICES)
    async def convert(
        self,
        interaction: Interaction,
        model: str,
        name: Range[str, 1, 120] | None = None,
        precision: str = "fp16",
        weights: str = "no-ema",
        vae: str | None = None,
    ) -> None:
        steward = self._admin.stewards.commanding(interaction)
        vae = self._studio.model_names.named("vae", vae)
        await self._admin.makings.convert(
            interaction, steward, model=model, name=name, precision=precision, weights=weights, vae=vae
        )

    @app_commands.command(**_named("merge"))
    @localised_options(
        "model_admin.merge", "first", "second", "third", "multiplier", "name", "precision", "vae", "preview"
    )
    @app_commands.choices(precision=PRECISION_CHOICES)
    async def merge(
        self,
        interaction: Interaction,
        first: str,
        second: str,
        third: str | None = None,
        multiplier: Range[float, 0, 1] = 0.3,
        name: Range[str, 1, 120] | None = None,
        precision: str = "fp16",
        vae: str | None = None,
        preview: Range[str, 1, 1000] | None = None,
    ) -> None:
        steward = self._admin.stewards.commanding(interaction)
        named = self._studio.model_names.named
        await self._admin.makings.merge(
            interaction,
            steward,
            first=named("checkpoint", first) or first,
            second=named("checkpoint", second) or second,
            third=named("checkpoint", third),
            multiplier=multiplier,
            name=name,
            precision=precision,
            vae=named("vae", vae),
            preview=preview,
        )

    @app_commands.command(**_named("bake"))
    @localised_options("model_admin.bake", "checkpoint", "loras", "name", "precision", "preview")
    @app_commands.choices(precision=PRECISION_CHOICES)
    async def bake(
        self,
        interaction: Interaction,
        checkpoint: str,
        loras: Range[str, 1, 1000],
        name: Range[str, 1, 120] | None = None,
        precision: str = "fp16",
        preview: Range[str, 1, 1000] | None = None,
    ) -> None:
        steward = self._admin.stewards.commanding(interaction)
        checkpoint = self._studio.model_names.named("checkpoint", checkpoint) or checkpoint
        await self._admin.makings.bake(
            interaction,
            steward,
            checkpoint=checkpoint,
            loras=loras,
            name=name,
            precision=precision,
            preview=preview,
        )

    # --- reports ------------------------------------------------------------------------------------------------------

    @app_commands.command(**_named("audit"))
    async def audit(self, interaction: Interaction) -> None:
        await self._admin.reporting.audit(interaction)

    @app_commands.command(**_named("unused"))
    @localised_options("model_admin.unused", "days")
    async def unused(self, interaction: Interaction, days: Range[int, 0, 3650] = 30) -> None:
        await self._admin.reporting.unused(interaction, days)

    @app_commands.command(**_named("disk"))
    async def disk(self, interaction: Interaction) -> None:
        await self._admin.reporting.disk(interaction)

    # --- autocomplete -------------------------------------------------------------------------------------------------

    @remove.autocomplete("model")
    @rename.autocomplete("model")
    @note.autocomplete("model")
    @preview.autocomplete("model")
    @info.autocomplete("model")
    @enable.autocomplete("model")
    @disable.autocomplete("model")
    @rules.autocomplete("model")
    @favourite.autocomplete("model")
    @test.autocomplete("model")
    @convert.autocomplete("model")
    async def _files(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        own = interaction.command is not None and interaction.command.name in _OWN
        return self._admin.choices.files(interaction, current, own=own)

    @install.autocomplete("name")
    async def _catalogue(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._admin.choices.catalogue(current)

    @defaults.autocomplete("checkpoint")
    @merge.autocomplete("first")
    @merge.autocomplete("second")
    @merge.autocomplete("third")
    @bake.autocomplete("checkpoint")
    async def _checkpoints(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "checkpoint", current)

    @bake.autocomplete("loras")
    async def _loras(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._admin.choices.loras(interaction, current)

    @merge.autocomplete("vae")
    async def _vae_files(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "vae", current)

    @convert.autocomplete("vae")
    async def _vae_or_none(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "vae", current, more=(NONE,))

    @defaults.autocomplete("vae")
    async def _vaes(self, interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return await self._studio.model_names.choices(interaction, "vae", current, more=(AUTOMATIC_VAE, NONE))


async def setup(bot: PincelBot) -> None:
    await bot.add_cog(ModelAdminCommands(bot.studio))
