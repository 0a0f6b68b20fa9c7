"""Every command, by a member, an admin and an operator, in every kind of place: see matrix_commands.py."""

import discord
import pytest
from discord import app_commands

from bot.playground.person import Refused
from tests.stage.matrix import PLACES, Trouble, describing, friendly, place
from tests.stage.matrix_commands import COMMANDS, MENUS
from tests.stage.pictures_given import INFOTEXT, picture

PEOPLE = ("Member", "Admin", "Operator")


@pytest.fixture
async def scene(make_stage, request):
    """At the playground whoever administers the server is its operator, unless operators are named."""
    role, where = request.param
    stage = await make_stage(**({} if role == "Operator" else {"operators": frozenset({1})}))
    person = await stage.visitor("Member" if role == "Member" else "Admin")
    await stage.visitor("Other")
    await describing(stage)
    return stage, person, await place(stage, where)


@pytest.fixture
def trouble():
    with Trouble() as listening:
        yield listening


EVERYWHERE = pytest.mark.parametrize(
    "scene", [(person, where) for person in PEOPLE for where in PLACES], indirect=True, ids=" in ".join
)


def given_to(stage, options):
    made = {}
    for name, value in options.items():
        text = str(value)
        people, channels = stage.playground.world.people, stage.channel_id
        made[name] = str(people[text[1:]] if text[0] == "@" else channels(text[1:])) if text[0] in "@#" else value
    return made


async def test_every_command_and_menu_is_here(stage):
    tree = stage.bot.tree
    found = {c.qualified_name for c in tree.walk_commands() if isinstance(c, app_commands.Command)}
    assert found == set(COMMANDS)
    assert {c.name for c in tree.get_commands(type=discord.AppCommandType.message)} == set(MENUS)
    assert not tree.get_commands(type=discord.AppCommandType.user)


async def test_what_is_for_servers_alone_is_not_offered_elsewhere(stage):
    payloads = [command.to_dict(stage.bot.tree) for command in stage.bot.tree.get_commands()]
    admin = {p["name"]: p for p in payloads if p.get("default_member_permissions")}
    assert all(2 not in p["contexts"] and p["integration_types"] == [0] for p in admin.values())
    assert [name for name, p in admin.items() if p["contexts"] == [0]] == ["retention", "starboard"]
    assert all(p["contexts"] == [0] for p in payloads if not p.get("dm_permission", True))


@EVERYWHERE
async def test_every_command_is_answered_with_a_sentence_a_card_or_a_form(scene, trouble):
    stage, person, channel = scene
    seen = {row["name"] for row in (await person.commands(channel))["slash"]}
    assert {"imagine", "help", "forget-me"} <= seen
    wrong = []
    for name, given in COMMANDS.items():
        if name not in seen:
            continue
        try:
            answer = await person.slash(channel, name, given_to(stage, given.options), given.files)
            await friendly(person, channel, answer)
        except (AssertionError, TimeoutError, Refused) as error:
            wrong.append(f"/{name}: {error}")
        wrong += [f"/{name}: {met}" for met in trouble.take()]
    assert not wrong, "\n".join(wrong)


@EVERYWHERE
async def test_every_menu_is_answered_for_our_card_anybodys_picture_and_words_alone(scene, trouble):
    _, person, channel = scene
    ours = await person.imagine(channel, count=1)
    shown = await person.say(channel, "look", {"files[0]": ("a.png", picture(INFOTEXT))})
    plain = await person.say(channel, "no picture")
    messages = [ours, *[await person.message(channel, each) for each in (shown, plain)]]
    wrong = []
    for name in [row["name"] for row in (await person.commands(channel))["message"]]:
        for message in messages:
            try:
                await friendly(person, channel, await person.context_menu(message, name))
            except (AssertionError, TimeoutError) as error:
                wrong.append(f"{name}: {error}")
            wrong += [f"{name}: {met}" for met in trouble.take()]
    assert not wrong, "\n".join(wrong)
