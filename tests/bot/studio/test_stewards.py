"""Who administers models: by a command that Discord lets them use, by its answers, and by buttons that all see."""

from types import SimpleNamespace

import pytest

from bot.errors import UserFacingError
from bot.studio.model_admin.choices import AdminChoices
from bot.studio.stewards import Stewards
from bot.ui.codec import Address, Verb
from tests.bot.studio.admin_rig import GUILD, Talk

TRUSTED = 3
"""Has the command by the server's settings of this integration, and may not manage the server."""


def interaction(user=1, guild=GUILD, manages=False, ephemeral=False):
    return SimpleNamespace(
        user=SimpleNamespace(id=user), guild_id=guild, permissions=SimpleNamespace(manage_guild=manages),
        message=SimpleNamespace(flags=SimpleNamespace(ephemeral=ephemeral)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("operators", "playground", "given", "commands", "public"),
    [
        # In a server Discord has checked a command; a button that everybody sees is pressed by anybody.
        ((), False, {}, "admin", None),
        ((), False, {"manages": True}, "admin", "admin"),
        ((1,), False, {}, "operator", "operator"),
        ((2,), False, {"manages": True}, "admin", "admin"),
        # In direct messages only operators.
        ((), False, {"guild": None}, None, None),
        ((1,), False, {"guild": None}, "operator", "operator"),
        # The playground's person is the operator where the person they play administers.
        ((), True, {"guild": None}, "operator", "operator"),
        ((), True, {"manages": True}, "operator", "operator"),
        ((), True, {}, "admin", None),
        # Unless the settings name somebody.
        ((2,), True, {"guild": None}, None, None),
        ((2,), True, {"manages": True}, "admin", "admin"),
    ],
)
def test_who_administers(operators, playground, given, commands, public):
    stewards = Stewards(operators, playground=playground)

    def shown(steward):
        return steward and ("operator" if steward.operator else "admin")

    seen_by_all, seen_alone = interaction(**given), interaction(**given, ephemeral=True)
    assert shown(stewards.commands(seen_by_all)) == commands
    assert shown(stewards.manages(seen_alone)) == public
    assert shown(stewards.presses(seen_by_all)) == public
    assert shown(stewards.presses(seen_alone)) == commands
    for ask, who, expected, key in (
        (stewards.commanding, seen_by_all, commands, "operators_only"),
        (stewards.managing, seen_alone, public, "admins_only"),
        (stewards.pressing, seen_by_all, public, "admins_only"),
        (stewards.pressing, seen_alone, commands, "admins_only"),
    ):
        if expected is None:
            with pytest.raises(UserFacingError, match=key):
                ask(who)
        else:
            assert shown(ask(who)) == expected


# --- whoever has the command has its lists and its answers' buttons ---------------------------------------------------


class Trusted(Talk):
    def __init__(self, *, alone=True):
        super().__init__(user=TRUSTED)
        self.permissions = SimpleNamespace(manage_guild=False)
        self.message = SimpleNamespace(flags=SimpleNamespace(ephemeral=alone))


async def test_lists_are_not_empty_for_them(rig):
    await rig.start()
    choices = AdminChoices(rig.library, rig.rules, None, None, rig.stewards)
    assert [row.value for row in choices.files(Trusted(), "", own=False)] == [rig.lora().id]
    assert choices.files(Trusted(), "", own=True) == []  # the operator's
    elsewhere = Trusted()
    elsewhere.guild_id = None
    assert choices.files(elsewhere, "", own=False) == []


async def test_buttons_of_their_own_answers_work(rig):
    await rig.start()
    for verb, id_ in ((Verb.MODEL_AUDIT, str(GUILD)), (Verb.MODEL_UNUSED, "30"), (Verb.TRASH_EMPTY, str(GUILD))):
        await rig.reporting.pressed(talk := Trusted(), Address(verb, id_))
        assert "edit" in talk.log
        with pytest.raises(UserFacingError, match="admins_only"):
            await rig.reporting.pressed(Trusted(alone=False), Address(verb, id_))
    await rig.desk.pressed(talk := Trusted(), Address(Verb.MODEL_ENABLE, rig.lora().id))
    assert "is enabled here already" in talk.text
    with pytest.raises(UserFacingError, match="admins_only"):
        await rig.desk.pressed(Trusted(alone=False), Address(Verb.MODEL_ENABLE, rig.lora().id))
