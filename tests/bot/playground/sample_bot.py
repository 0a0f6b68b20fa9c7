"""A small, ordinary discord.py bot. By itself: `python sample_bot.py ENDPOINTS_JSON`."""

import asyncio
import io
import json
import struct
import sys
import zlib

import discord
from discord import app_commands, ui

from bot.playground.redirect import Endpoints, point_discord_at


def png(colour=(200, 40, 40), side=16):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * side) * side
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


COLOURS = ((196, 64, 58), (58, 120, 196), (84, 160, 92), (214, 160, 60))


class Press(ui.DynamicItem[ui.Button], template=r"v1:(?P<verb>up|again|edit|bin|slow):(?P<id>\d+)"):
    def __init__(self, verb, item_id):
        labels = {"up": "U1", "again": "Reroll", "edit": "Edit", "bin": "Delete", "slow": "Slow"}
        styles = {"bin": discord.ButtonStyle.danger, "again": discord.ButtonStyle.primary}
        style = styles.get(verb, discord.ButtonStyle.secondary)
        super().__init__(ui.Button(label=labels[verb], style=style, custom_id=f"v1:{verb}:{item_id}"))
        self.verb, self.item_id = verb, item_id

    @classmethod
    async def from_custom_id(cls, interaction, item, match, /):
        return cls(match["verb"], match["id"])

    async def callback(self, interaction):
        if self.verb == "edit":
            await interaction.response.send_modal(Form())
        elif self.verb == "bin":
            await interaction.response.defer()
            await interaction.delete_original_response()
        elif self.verb == "up":
            await interaction.response.edit_message(view=card("bigger", ["0.png"], interaction.message.attachments[:1]))
        elif self.verb == "again":
            await interaction.response.send_message("again", ephemeral=True)


class Form(ui.Modal, title="A form"):
    prompt = ui.Label(
        text="Prompt",
        description="What to draw",
        component=ui.TextInput(custom_id="prompt", default="old", max_length=50),
    )
    sampler = ui.Label(
        text="Sampler",
        component=ui.Select(
            custom_id="sampler", options=[discord.SelectOption(label=n, value=n) for n in ("Euler", "DDIM")]
        ),
    )
    where = ui.Label(text="Where", component=ui.ChannelSelect(custom_id="where", required=False))
    size = ui.Label(
        text="Size",
        component=ui.RadioGroup(
            custom_id="size",
            required=False,
            options=[discord.RadioGroupOption(label=n, value=n) for n in ("small", "large")],
        ),
    )
    image = ui.Label(text="Picture", component=ui.FileUpload(custom_id="image", required=False))

    async def on_submit(self, interaction):
        files = self.image.component.values
        sizes = [len(await file.read()) for file in files]
        rooms = [channel.name for channel in self.where.component.values]
        await interaction.response.send_message(
            f"{self.prompt.component.value}|{self.sampler.component.values}|{rooms}"
            f"|{self.size.component.value}|{sizes}|{interaction.locale}"
        )


def card(title, names, attachments=()):
    view = ui.LayoutView(timeout=None)
    gallery = ui.MediaGallery(
        *[discord.MediaGalleryItem(f"attachment://{n}", description=f"picture {n}") for n in names]
    )
    rows = [ui.TextDisplay(f"**{title}** done <t:1700000000:R>")]
    if names:
        rows.append(gallery)
    rows.append(ui.Separator())
    rows.append(ui.ActionRow(Press("up", 7), Press("again", 7), Press("edit", 7), Press("slow", 7), Press("bin", 7)))
    view.add_item(ui.Container(*rows, accent_colour=0xE0A43C))
    return view


class Spanish(app_commands.Translator):
    async def translate(self, string, locale, context):
        words = {"imagine": "imagina", "Draws a picture": "Dibuja una imagen", "What to draw": "Qué dibujar"}
        return words.get(string.message) if locale is discord.Locale.spain_spanish else None


class Sample(discord.Client):
    def __init__(self):
        super().__init__(intents=discord.Intents.default(), guild_ready_timeout=0.05)
        self.tree = app_commands.CommandTree(self)
        self.seen = []
        self.failures = []
        register(self)

        @self.tree.error
        async def failed(interaction, error):
            self.failures.append(getattr(error, "original", error))

    async def setup_hook(self):
        self.add_dynamic_items(Press)
        await self.tree.set_translator(Spanish())
        await self.tree.sync()

    async def on_raw_reaction_add(self, event):
        self.seen.append(("reaction", str(event.emoji), event.user_id))

    async def on_message(self, message):
        self.seen.append(("message", message.author.name, message.content))

    async def on_resumed(self):
        self.seen.append(("resumed",))


def register(client):
    tree = client.tree

    @tree.command(name=app_commands.locale_str("imagine"), description=app_commands.locale_str("Draws a picture"))
    @app_commands.describe(prompt=app_commands.locale_str("What to draw"))
    @app_commands.choices(
        sampler=[app_commands.Choice(name=n, value=v) for n, v in (("Euler a", "euler"), ("DDIM", "ddim"))]
    )
    async def imagine(
        interaction: discord.Interaction,
        prompt: str,
        steps: app_commands.Range[int, 1, 50] = 20,
        cfg: app_commands.Range[float, 1, 30] = 7.0,
        style: str = "",
        sampler: str = "",
        private: bool = False,
        friend: discord.Member | None = None,
        picture: discord.Attachment | None = None,
    ):
        await interaction.response.defer(ephemeral=private)
        given = len(await picture.read()) if picture else 0
        title = f"{prompt} {steps} {cfg} {style} {sampler} {friend.display_name if friend else '-'} {given}"
        await asyncio.sleep(0.05)
        await interaction.edit_original_response(view=card("drawing", []))
        files = [
            discord.File(io.BytesIO(png(c, 64)), f"{i}.png", description=f"picture {i}") for i, c in enumerate(COLOURS)
        ]
        await interaction.edit_original_response(view=card(title, [f.filename for f in files]), attachments=files)

    @imagine.autocomplete("style")
    async def styles(interaction, current):
        names = ["ink wash", "oil painting", "pixel art"]
        return [app_commands.Choice(name=n.title(), value=n) for n in names if current.lower() in n]

    @tree.command(description="Does not answer in time")
    async def sleep(interaction: discord.Interaction):
        await asyncio.sleep(3.3)
        try:
            await interaction.response.send_message("late")
        except discord.HTTPException as error:
            client.failures.append(error)

    @tree.command(description="Choose")
    async def choose(interaction: discord.Interaction):
        view = ui.View(timeout=None)
        select = ui.Select(
            custom_id="pick",
            placeholder="Pick",
            max_values=2,
            options=[discord.SelectOption(label=n, value=n) for n in "abc"],
        )
        people = ui.UserSelect(custom_id="who", placeholder="Who")
        rooms = ui.ChannelSelect(custom_id="room", placeholder="Room")
        for item in (select, people, rooms):

            async def chosen(found, item=item):
                await found.response.send_message(
                    f"chose {[getattr(v, 'name', v) for v in item.values]}", ephemeral=True
                )

            item.callback = chosen
            view.add_item(item)
        embed = discord.Embed(title="A title", description="A *description*", colour=0x3A8FB7).set_image(
            url="attachment://e.png"
        )
        client.add_view(view)  # sending makes it known only after its message is there: somebody may press earlier
        await interaction.response.send_message(
            "classic", embed=embed, file=discord.File(io.BytesIO(png()), "e.png"), view=view
        )

    @tree.command(description="Facts about the interaction")
    async def facts(interaction: discord.Interaction):
        await interaction.response.send_message(
            json.dumps(
                {
                    "locale": str(interaction.locale),
                    "limit": interaction.filesize_limit,
                    "nsfw": getattr(interaction.channel, "nsfw", None),
                    "manage": interaction.permissions.manage_messages,
                    "app": interaction.app_permissions.send_messages,
                    "guild": interaction.guild_id is not None,
                    "dm": interaction.context.dm_channel,
                    "guild_locale": str(interaction.guild_locale),
                    "owners": sorted(map(str, interaction._integration_owners)),
                }
            )
        )
        follow = await interaction.followup.send("follow", wait=True)
        await follow.edit(content="followed")

    @tree.command(description="Sends a direct message", name="dm")
    async def direct(interaction: discord.Interaction):
        await interaction.user.send("for you", file=discord.File(io.BytesIO(png()), "dm.png"))
        await interaction.response.send_message("sent", ephemeral=True)

    group = app_commands.Group(name="style", description="Styles")

    @group.command(description="Saves a style")
    async def save(interaction: discord.Interaction, name: str):
        await interaction.response.send_message(f"saved {name}", ephemeral=True)

    tree.add_command(group)

    @tree.context_menu(name="Describe picture")
    async def describe(interaction: discord.Interaction, message: discord.Message):
        await interaction.response.send_message(
            f"{len(message.attachments)} attachments: {message.content}", ephemeral=True
        )


async def main(endpoints):
    point_discord_at(endpoints)
    async with Sample() as client:
        await client.start(endpoints.token)


if __name__ == "__main__":
    asyncio.run(main(Endpoints(**json.loads(sys.argv[1]))))
