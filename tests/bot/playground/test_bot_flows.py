"""A real discord.py client does what a bot does, and a person sees what a person sees."""

import asyncio
import json

import discord
import pytest

from bot.playground.person import Refused


async def test_defer_edit_and_upload(bot, member):
    answer = await member.slash(
        "studio", "imagine", {"prompt": "a red apple", "steps": "12", "cfg": "5.5", "sampler": "DDIM"}
    )
    assert answer.kind == "deferred"
    card = await member.wait_for_message("studio", lambda m: len(m.media) == 4)
    assert card.text.startswith("**a red apple 12 5.5  ddim - 0**")
    assert card.labels == ("U1", "Reroll", "Edit", "Slow", "Delete")
    assert not card.loading
    assert card.raw["interaction_metadata"]["name"] == "imagine"
    assert card.attachments[0]["width"] == 64
    assert card.attachments[0]["description"] == "picture 0"
    assert (await member.download(card.media[1])).startswith(b"\x89PNG")
    assert not bot.failures


async def test_all_option_types(bot, playground, member):
    options = {"prompt": "x", "private": True, "friend": playground.world.people["Moderator"], "style": "ink wash"}
    await member.slash("studio", "imagine", options, {"picture": ("a b.png", b"12345")})
    card = await member.wait_for_message("studio", lambda m: len(m.media) == 4)
    assert card.text.startswith("**x 20 7.0 ink wash  Moderator 5**")
    assert card.ephemeral


async def test_ephemeral_is_only_for_its_invoker_and_can_be_dismissed(bot, member, admin):
    await member.slash("studio", "style save", {"name": "noir"})
    seen = await member.wait_for_message("studio", lambda m: m.content == "saved noir")
    assert seen.ephemeral
    assert await admin.messages("studio") == []
    await member.delete(seen)
    assert await member.messages("studio") == []


async def test_autocomplete(bot, member):
    choices = await member.autocomplete("studio", "imagine", "style", {"style": "P", "steps": "unfinished"})
    assert [choice["value"] for choice in choices] == ["oil painting", "pixel art"]


async def test_buttons_update_delete_and_answer(bot, member):
    await member.slash("studio", "imagine", {"prompt": "x"})
    card = await member.wait_for_message("studio", lambda m: len(m.media) == 4)
    assert (await member.click(card, "U1")).kind == "update"
    card = await member.wait_for_message("studio", lambda m: m.id == card.id and "bigger" in m.text)
    assert len(card.media) >= 1
    assert (await member.click(card, "Reroll")).kind == "message"
    await member.wait_for_message("studio", lambda m: m.content == "again" and m.ephemeral)
    assert (await member.click(card, "Delete")).kind == "deferred_update"
    for _ in range(100):
        if not [m for m in await member.messages("studio") if m.id == card.id]:
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("the card is still there")


async def test_modal_with_every_kind_of_field(bot, member):
    await member.slash("studio", "imagine", {"prompt": "x"})
    card = await member.wait_for_message("studio", lambda m: len(m.media) == 4)
    form = await member.click(card, "Edit")
    assert form.kind == "modal"
    studio = (await member.messages("studio"))[0].channel_id
    with pytest.raises(Refused) as refused:
        await member.submit_modal(form, {"Prompt": "y" * 51, "sampler": ["DDIM"]})
    assert (refused.value.key, refused.value.option) == ("option.length", "prompt")
    values = {"Prompt": "new", "sampler": ["DDIM"], "where": [studio], "size": "large"}
    await member.submit_modal(form, values, {"image": ("a.png", b"abc")})
    await member.wait_for_message("studio", lambda m: m.content == "new|['DDIM']|['studio']|large|[3]|en-US")
    with pytest.raises(Refused, match=r"modal\.gone"):
        await member.submit_modal(form, values)


async def test_selects_and_classic_embed(bot, member):
    await member.slash("general", "choose")
    message = await member.wait_for_message("general", lambda m: m.content == "classic")
    assert message.raw["embeds"][0]["image"]["url"].startswith("/cdn/attachments/")
    assert (await member.download(message.raw["embeds"][0]["image"]["url"])).startswith(b"\x89PNG")
    await member.select(message, "Pick", ["a", "c"])
    await member.wait_for_message("general", lambda m: m.content == "chose ['a', 'c']")
    await member.select(message, "Who", [member.user_id])
    await member.wait_for_message("general", lambda m: m.content == "chose ['member']")
    await member.select(message, "Room", [message.channel_id])
    await member.wait_for_message("general", lambda m: m.content == "chose ['general']")
    with pytest.raises(Refused, match=r"option\.count"):
        await member.select(message, "Pick", ["a", "b", "c"])
    with pytest.raises(Refused, match=r"option\.choice"):
        await member.select(message, "Pick", ["z"])


async def test_what_an_interaction_knows(bot, member, moderator, admin):
    async def facts(person, channel):
        await person.slash(channel, "facts")
        seen = await person.wait_for_message(channel, lambda m: m.content.startswith("{"))
        await person.wait_for_message(channel, lambda m: m.content == "followed")
        return json.loads(seen.content)

    assert await facts(member, "after-dark") == {
        "locale": "en-US", "limit": 10 * 1024 * 1024, "nsfw": True, "manage": False, "app": True, "guild": True,
        "dm": False, "guild_locale": "en-US", "owners": ["0"],
    }  # fmt: skip
    assert (await facts(moderator, "studio"))["manage"]
    seen = await facts(admin, "dm")
    assert (seen["locale"], seen["guild"], seen["dm"]) == ("es-ES", False, True)


async def test_context_menu(bot, member):
    await member.say("general", "look", {"f": ("a.png", b"xyz")})
    message = await member.wait_for_message("general", lambda m: m.content == "look")
    await member.context_menu(message, "Describe picture")
    await member.wait_for_message("general", lambda m: m.content == "1 attachments: look")


async def test_reactions_reach_the_bot_and_content_does_not(bot, playground, member):
    await member.say("general", "private words")
    message = await member.wait_for_message("general", lambda m: m.content == "private words")
    await member.react(message, "🔁")
    for _ in range(100):
        if ("reaction", "🔁", playground.world.people["Member"]) in bot.seen:
            break
        await asyncio.sleep(0.02)
    assert ("reaction", "🔁", playground.world.people["Member"]) in bot.seen
    assert ("message", "member", "") in bot.seen
    await bot.get_channel(int(message.channel_id)).get_partial_message(int(message.id)).add_reaction("🔁")
    assert (await member.message("general", message.id)).reactions == {"🔁": 2}
    await member.react(message, "🔁", on=False)
    assert (await member.message("general", message.id)).reactions == {"🔁": 1}


async def test_direct_message_with_file(bot, member, admin):
    await member.slash("general", "dm")
    seen = await member.wait_for_message("dm", lambda m: m.content == "for you")
    assert seen.attachments[0]["filename"] == "dm.png"
    assert await admin.messages("dm") == []


async def test_deleting_needs_authorship_or_manage_messages(playground, member, moderator, admin):
    await admin.say("general", "mine")
    seen = await member.wait_for_message("general", lambda m: m.content == "mine")
    with pytest.raises(Refused, match=r"error\.permission"):
        await member.delete(seen)
    await moderator.delete(seen)
    assert await member.messages("general") == []


async def test_resume_after_a_dropped_socket_replays_what_was_missed(bot, playground, member):
    session = bot.ws.session_id
    playground.gateway.drop_sockets()
    await member.say("general", "missed")
    for _ in range(400):
        if ("resumed",) in bot.seen and ("message", "member", "") in bot.seen:
            break
        await asyncio.sleep(0.02)
    assert ("resumed",) in bot.seen
    assert ("message", "member", "") in bot.seen
    assert bot.ws.session_id == session


async def test_nonce_is_enforced(bot, playground, clock):
    channel = discord.utils.get(bot.get_all_channels(), name="studio")
    first = await channel.send("one", nonce="j" * 25)
    again = await channel.send("two", nonce="j" * 25)
    assert (again.id, again.content) == (first.id, "one")
    clock.advance(6 * 60)
    assert (await channel.send("three", nonce="j" * 25)).id != first.id


async def test_messages_by_bot_token(bot, member):
    channel = discord.utils.get(bot.get_all_channels(), name="studio")
    sent = await channel.send("by token")
    fetched = await channel.fetch_message(sent.id)
    await fetched.edit(content="edited", attachments=[discord.File(__file__, "t.txt")])
    seen = await member.wait_for_message("studio", lambda m: m.content == "edited")
    assert seen.attachments[0]["filename"] == "t.txt"
    await channel.typing()
    reply = await fetched.reply("reply", mention_author=True)
    assert (await member.message("studio", str(reply.id))).raw["referenced_message"]["id"] == str(sent.id)
    assert [m.id async for m in channel.history(limit=5)] == [reply.id, sent.id]
    await fetched.delete()
    with pytest.raises(discord.NotFound):
        await channel.fetch_message(sent.id)


async def test_people_may_only_do_what_the_client_would_let_them(bot, member):
    cases = {
        "option.required": ("imagine", {}),
        "option.whole": ("imagine", {"prompt": "x", "steps": "many"}),
        "option.range": ("imagine", {"prompt": "x", "steps": 51}),
        "option.number": ("imagine", {"prompt": "x", "cfg": "much"}),
        "option.boolean": ("imagine", {"prompt": "x", "private": "maybe"}),
        "option.choice": ("imagine", {"prompt": "x", "sampler": "none"}),
        "option.user": ("imagine", {"prompt": "x", "friend": "5"}),
        "option.length": ("imagine", {"prompt": "x" * 6001}),
        "option.unknown": ("imagine", {"prompt": "x", "what": "1"}),
        "option.attachment": ("imagine", {"prompt": "x", "picture": "nothing"}),
        "command.unknown": ("nonsense", {}),
    }
    for key, (name, options) in cases.items():
        with pytest.raises(Refused) as refused:
            await member.slash("studio", name, options)
        assert refused.value.key == key
        assert len(refused.value.text) > 10
    with pytest.raises(Refused, match=r"file\.large"):
        await member.slash("studio", "imagine", {"prompt": "x"}, {"picture": ("a.png", bytes(10 * 1024 * 1024 + 1))})


async def test_commands_are_listed_in_the_persons_language(bot, member, admin):
    def find(commands):
        return next(row for row in commands["slash"] if row["name"] == "imagine")

    spanish = find(await admin.commands("studio"))
    assert (spanish["label"], spanish["description"], spanish["options"][0]["description"]) == (
        "imagina", "Dibuja una imagen", "Qué dibujar",
    )  # fmt: skip
    assert find(await member.commands("studio"))["label"] == "imagine"
    await member.set_locale("es-ES")
    assert find(await member.commands("studio"))["label"] == "imagina"
    assert {row["name"] for row in (await member.commands("dm"))["slash"]} >= {"imagine", "style save"}


async def test_without_a_bot_an_action_says_so(playground, member):
    with pytest.raises(Refused) as refused:
        await member.slash("studio", "imagine", {"prompt": "x"})
    assert refused.value.key == "bot.starting"
