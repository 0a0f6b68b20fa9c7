"""Jobs and pictures to make cards of, and a real client at a local Discord to send them with."""

import io
import time

import discord
import discord.asset
import discord.gateway
import discord.http
import pytest
from PIL import Image as Pillow
from PIL import PngImagePlugin

from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, UserId
from bot.domain.job import Action, Image, Job, JobStatus, Lane
from bot.playground.clock import WallClock
from bot.playground.redirect import point_discord_at
from bot.playground.server import Options, serve
from gpu_worker.protocol.specs import Txt2Img


@pytest.fixture(scope="session")
def make_job():
    def make(*, prompt="a cat", spec=None, **columns):
        spec = spec or Txt2Img(prompt=prompt, checkpoint="dreamy", width=512, height=512, seed=1, count=4)
        given = {
            "id": JobId("j" * 16), "action": Action.IMAGINE, "user_id": UserId(11), "guild_id": GuildId(22),
            "channel_id": ChannelId(33), "locale": "en-US", "lane": Lane.INTERACTIVE, "task": spec,
            "status": JobStatus.QUEUED, "work_units": 1.0, "attempt": 1, "crashes": 0, "worker": None,
            "created_at": time.time(),
        }  # fmt: skip
        return Job(**{**given, **columns})

    return make


@pytest.fixture(scope="session")
def make_image():
    def make(index=0, **columns):
        given = {
            "id": ImageId(f"{'i' * 15}{index}"), "job_id": JobId("j" * 16), "index": index, "path": f"{index}.png",
            "sha256": "0" * 64, "mime": "image/png", "width": 512, "height": 512, "size_bytes": 1, "seed": index + 1,
            "infotext": "a cat\nSteps: 20, Seed: 1, Size: 512x512", "action": Action.IMAGINE,
        }  # fmt: skip
        return Image(**{**given, **columns})

    return make


@pytest.fixture(scope="session")
def make_png():
    def make(side_px=64, *, text="a cat"):
        """Noise in each colour: what no format makes small."""
        picture = Pillow.merge("RGB", [Pillow.effect_noise((side_px, side_px), 90) for _ in range(3)])
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", text)
        out = io.BytesIO()
        picture.save(out, "PNG", pnginfo=info)
        return out.getvalue()

    return make


@pytest.fixture
def clock():
    return WallClock()


@pytest.fixture
async def playground(tmp_path, clock):
    async with serve(Options(tmp_path / "playground"), clock) as running:
        yield running


@pytest.fixture
def pointed(playground, monkeypatch):
    """discord.py talks to the playground; undone at the end."""
    gateway = discord.gateway.DiscordWebSocket
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(gateway, "DEFAULT_GATEWAY", gateway.DEFAULT_GATEWAY)
    monkeypatch.setattr(discord.asset.Asset, "BASE", discord.asset.Asset.BASE)
    point_discord_at(playground.endpoints)


@pytest.fixture
async def client(playground, pointed):
    """Logged in, not connected: all that sending needs."""
    async with discord.Client(intents=discord.Intents.none(), allowed_mentions=discord.AllowedMentions.none()) as made:
        await made.login(playground.endpoints.token)
        yield made


@pytest.fixture
def channel_id(playground):
    def find(name):
        return next(found.id for found in playground.world.discord.channels.values() if found.name == name)

    return find


@pytest.fixture
def messages(playground):
    """What lies in a channel, oldest first."""

    def find(channel_id):
        return list(playground.world.discord.messages[channel_id].values())

    return find
