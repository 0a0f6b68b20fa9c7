"""Runs in the bot: nothing heavy may be imported here."""

from discord import app_commands
from discord.ext import commands


class Dice(commands.Cog):
    @app_commands.command(name="example-dice", description="Says a number from 1 to 6")
    async def dice(self, interaction):
        await interaction.response.send_message(f"🎲 {interaction.id % 6 + 1}", ephemeral=True)


async def setup(bot):
    await bot.add_cog(Dice())
